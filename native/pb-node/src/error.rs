//! Errors on their way to JavaScript: an `Error` with `code` (a stable text) and `detail` (JSON), so that
//! src/native/addon.ts never reads a message.

use napi::bindgen_prelude::JsObjectValue;
use napi::{Env, JsValue};
use pb_io::error::Code;
use pb_io::fs::FsError;

/// What failed, apart from JavaScript.
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// Relative to the root concerned; `None` where no path is.
    pub path: Option<Vec<u8>>,
    pub op: Option<&'static str>,
    pub errno: Option<i32>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
            path: None,
            op: None,
            errno: None,
        }
    }

    /// `{"path":"<base64>","op":"rename","errno":17}`, each member only where known.
    fn detail(&self) -> String {
        let mut members = Vec::new();
        if let Some(path) = &self.path {
            members.push(format!("\"path\":\"{}\"", base64(path)));
        }
        if let Some(op) = self.op {
            members.push(format!("\"op\":\"{op}\""));
        }
        if let Some(errno) = self.errno {
            members.push(format!("\"errno\":{errno}"));
        }
        format!("{{{}}}", members.join(","))
    }

    /// The error to return from a `#[napi]` function or a task's `resolve`. Runs on the JavaScript thread.
    pub fn into_js(self, env: &Env) -> napi::Error {
        self.build(env).unwrap_or_else(|error| error)
    }

    fn build(&self, env: &Env) -> napi::Result<napi::Error> {
        let mut object = env.create_error(napi::Error::from_reason(self.message.clone()))?;
        object.set_named_property("code", self.code.as_str())?;
        object.set_named_property("detail", self.detail())?;
        Ok(napi::Error::from(object.to_unknown()))
    }
}

impl From<FsError> for Failure {
    fn from(error: FsError) -> Failure {
        Failure {
            code: error.code,
            message: error.to_string(),
            errno: error.source.map(|errno| errno.raw_os_error()),
            op: Some(error.op),
            path: Some(error.path),
        }
    }
}

/// RFC 4648 section 4, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let index = (group >> (18 - 6 * n) & 63) as usize;
            out.push(if n <= chunk.len() {
                char::from(ALPHABET[index])
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_is_json_with_the_path_in_base64() {
        let mut failure = Failure::new(Code::Exists, "x");
        assert_eq!(failure.detail(), "{}");
        failure.path = Some(b"a\n\xff\"".to_vec());
        failure.op = Some("rename");
        failure.errno = Some(17);
        assert_eq!(
            failure.detail(),
            r#"{"path":"YQr/Ig==","op":"rename","errno":17}"#
        );
    }

    #[test]
    fn base64_of_rfc_4648() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
