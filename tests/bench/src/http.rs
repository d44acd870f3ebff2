//! A client of HTTP/1.1 that costs next to nothing: requests are bytes made beforehand, an answer is its status and body.
//!
//! A client of comfort would take as much of the machine as the service that it measures.

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: &'a str,
}

/// Makes the bytes of a request for a tenant.
pub fn render(method: &str, path: &str, tenant: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nX-Tenant-ID: {tenant}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    text.into_bytes()
}

impl Connection {
    /// Connects to a port of this machine.
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(16 * 1_024),
        })
    }

    /// Sends a request and reads its answer to the end.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.received.clear();
        self.stream.write_all(request).await?;
        let (status, head, length) = loop {
            self.receive().await?;
            if let Some(found) = read_head(&self.received)? {
                break found;
            }
        };
        while self.received.len() < head + length {
            self.receive().await?;
        }
        let body = self
            .received
            .get(head..head + length)
            .context("an answer that ends early")?;
        Ok(Answer {
            status,
            body: std::str::from_utf8(body)?,
        })
    }

    async fn receive(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.received).await?;
        ensure!(count > 0, "the service has closed the connection");
        Ok(())
    }
}

/// Returns status, length of the head and length of the body, once the head is there.
fn read_head(received: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value.trim())
    });
    let Some(length) = length else {
        bail!("an answer without a length: {head}");
    };
    Ok(Some((status, end + 4, length.parse()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(read_head(answer).expect("a head"), Some((201, 43, 5)));
        assert_eq!(read_head(&answer[..30]).expect("half a head"), None);
    }
}
