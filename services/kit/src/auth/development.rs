//! Who calls where nobody has to prove anything: what headers say, and defaults that may do everything in the tenant.

use axum::http::request::Parts;

use super::{Caller, TenantScope};
use crate::ids::TenantId;
use crate::problem::{Code, Problem};

/// Longest name of a subject or list of roles, in bytes.
const LONGEST: usize = 256;

pub(super) fn caller(parts: &Parts, tenant: TenantId) -> Result<Caller, Problem> {
    let roles = header(parts, "X-Roles")?.unwrap_or("TenantAdmin");
    Ok(Caller {
        scope: TenantScope(tenant),
        subject: header(parts, "X-Subject")?.unwrap_or("anonymous").to_owned(),
        roles: roles
            .split(',')
            .map(str::trim)
            .filter(|role| !role.is_empty())
            .map(str::to_owned)
            .collect(),
        on_behalf_of: header(parts, "X-On-Behalf-Of")?.map(str::to_owned),
    })
}

fn header<'a>(parts: &'a Parts, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let Some(value) = parts.headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Problem::field(Code::InvalidUtf8, name, "the header is not UTF-8"))?;
    if text.len() > LONGEST {
        return Err(Problem::field(Code::InvalidHeader, name, "at most 256 bytes"));
    }
    Ok(Some(text))
}
