use jiff::Timestamp;
use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;

fn root() -> FolderPath {
    FolderPath::root()
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_gnu();
        // As bytes: the crate refuses to write what is to be refused here.
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(u64::try_from(content.len()).expect("short"));
        header.set_cksum();
        builder.append(&header, *content).expect("to memory");
    }
    builder.into_inner().expect("to memory")
}

fn faults(bytes: &[u8]) -> Vec<(String, String)> {
    match read(bytes, &root()) {
        Err(Refused::Members(faults)) => faults.into_iter().map(|fault| (fault.name, fault.message)).collect(),
        other => unreachable!("not refused for its members: {other:?}"),
    }
}

#[test]
fn members_are_read_below_their_folder_in_the_form_that_tar_gives_names() {
    let folder = FolderPath::parse("teams/blue/").expect("a folder");
    let found = read(
        archive(&[("./a.md", b"one"), ("b/c.md", "zwö".as_bytes())]).as_slice(),
        &folder,
    )
    .expect("fine");
    let found: Vec<(&str, &str)> = found.iter().map(|one| (one.path.as_str(), one.text.as_str())).collect();
    assert_eq!(found, [("teams/blue/a.md", "one"), ("teams/blue/b/c.md", "zwö")]);
}

#[test]
fn names_that_climb_hide_or_come_twice_are_named() {
    let bad = archive(&[
        ("fine.md", b"x"),
        ("../up.md", b"x"),
        ("/etc/passwd", b"x"),
        (".git/config", b"x"),
        ("fine.md", b"y"),
        ("bin", b"\xff"),
    ]);
    let names: Vec<String> = faults(&bad).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["../up.md", "/etc/passwd", ".git/config", "fine.md", "bin"]);
}

#[test]
fn a_name_that_is_no_text_is_told_and_not_mangled() {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..6].copy_from_slice(b"caf\xe9.m");
    header.set_size(1);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, &b"x"[..]).expect("to memory");
    let found = faults(&builder.into_inner().expect("to memory"));
    assert_eq!(found[0].0, "caf\u{fffd}.m");
    assert!(found[0].1.contains("name is no text"), "{found:?}");
}

#[test]
fn links_and_devices_are_refused_and_folders_passed_over() {
    for (kind, refused) in [
        (EntryType::Symlink, true),
        (EntryType::Link, true),
        (EntryType::Char, true),
        (EntryType::Fifo, true),
        (EntryType::GNUSparse, true),
        (EntryType::Directory, false),
    ] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("a").expect("short");
        header.set_size(0);
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, std::io::empty()).expect("to memory");
        let found = read(builder.into_inner().expect("to memory").as_slice(), &root());
        assert_eq!(found.is_err(), refused, "{kind:?}: {found:?}");
    }
}

#[test]
fn what_is_no_archive_or_ends_early_is_broken() {
    let whole = archive(&[("a.md", &[b'x'; 2000])]);
    for bytes in [&b"certainly no archive".repeat(100)[..], &whole[..1000]] {
        assert!(matches!(read(bytes, &root()), Err(Refused::Broken(_))));
    }
}

#[test]
fn an_archive_is_read_no_further_than_its_limits() {
    let long = vec![b'x'; MEMBER + 1];
    assert_eq!(faults(&archive(&[("a.md", &long)]))[0].0, "a.md");
    let many: Vec<String> = (0..=MEMBERS).map(|n| format!("{n}.md")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    assert!(matches!(
        read(archive(&many).as_slice(), &root()),
        Err(Refused::TooLarge)
    ));
    // A header that promises more than there is room for, and a source that never ends.
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let endless = std::io::Read::chain(&header.as_bytes()[..], std::io::repeat(b'x'));
    assert!(matches!(read(endless, &root()), Err(Refused::TooLarge)));
}

#[test]
fn equal_folders_give_equal_bytes_and_are_read_back() {
    let write = || {
        let mut writer = Writer::default();
        let long = format!("{}/ü.md", "long".repeat(50));
        writer.add(&long, "one\n", Timestamp::UNIX_EPOCH).expect("to memory");
        let mut bytes = writer.take();
        writer.add("b.md", "two\n", Timestamp::UNIX_EPOCH).expect("to memory");
        bytes.extend(writer.take());
        bytes.extend(writer.finish().expect("to memory"));
        bytes
    };
    let bytes = write();
    assert_eq!(bytes, write());
    let found = read(bytes.as_slice(), &root()).expect("fine");
    assert_eq!(
        (found.len(), found[0].path.stem(), found[1].text.as_str()),
        (2, "ü", "two\n")
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in 0_usize..1500, by in any::<u8>()) {
        let _ = read(bytes.as_slice(), &root());
        let mut nearly = archive(&[("a.md", b"text"), ("b/c.md", b"more")]);
        if let Some(byte) = nearly.get_mut(at) {
            *byte = by;
        }
        for member in read(nearly.as_slice(), &root()).unwrap_or_default() {
            prop_assert!(!member.path.as_str().contains(".."));
        }
    }
}
