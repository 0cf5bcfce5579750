//! Messages from a stream: a header with the length, then JSON.
//!
//! What is no message is reported as such and skipped, so that nothing a client writes ends the reading.

use std::io::{self, BufRead, Read};

use lsp_server::Message;

/// Longer messages are skipped: no document is that long.
const MAX_LENGTH: u64 = 64 * 1024 * 1024;

/// The next message; the reason if it is none, and `None` where the stream ends.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Result<Message, String>>> {
    let mut length = None;
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.is_empty() {
            // The blank line ends the header; without a length it is a stray one.
            if length.is_some() {
                break;
            }
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().ok();
        }
    }
    let length = length.unwrap_or(0);
    if length > MAX_LENGTH {
        io::copy(&mut input.by_ref().take(length), &mut io::sink())?;
        return Ok(Some(Err(format!("a message of {length} bytes, expected at most {MAX_LENGTH}"))));
    }
    let mut body = Vec::new();
    if input.by_ref().take(length).read_to_end(&mut body)? as u64 != length {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&body).map_err(|error| format!("not a message of the protocol: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_skipped() {
        let good = r#"{"jsonrpc":"2.0","id":1,"method":"shutdown"}"#;
        let stream = format!(
            "Content-Length: 3\r\n\r\n{{]}}\r\nnonsense\r\nContent-Type: x\r\ncontent-length:{}\r\n\r\n{good}Content-Length: 99\r\n\r\n{{",
            good.len()
        );
        let mut input = stream.as_bytes();
        assert!(matches!(read(&mut input), Ok(Some(Err(_)))));
        assert!(
            matches!(read(&mut input), Ok(Some(Ok(Message::Request(request)))) if request.method == "shutdown")
        );
        assert!(matches!(read(&mut input), Ok(None)), "the stream ends within a message");
    }
}
