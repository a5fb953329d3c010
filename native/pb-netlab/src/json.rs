//! JSON (RFC 8259) as the link descriptions need it: read whole, numbers as `f64`. Written out here so that the emulator builds
//! from the crates that the engine has anyway.

use std::collections::BTreeMap;

use thiserror::Error;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

#[derive(Debug, Error, PartialEq)]
#[error("not JSON at byte {at}: expected {expected}")]
pub struct JsonError {
    at: usize,
    expected: &'static str,
}

/// Nested deeper than this is refused, so that a hostile file cannot use up the stack.
const MAX_DEPTH: usize = 32;

pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        at: 0,
    };
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.expected("the end")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError {
            at: self.at,
            expected,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.expected("less nesting"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Value::Text(self.text()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
        ) {
            self.at += 1;
        }
        std::str::from_utf8(&self.bytes[start..self.at])
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|number: &f64| number.is_finite())
            .map(Value::Number)
            .ok_or(JsonError {
                at: start,
                expected: "a value",
            })
    }

    fn text(&mut self) -> Result<String, JsonError> {
        self.take(b'"', "a string")?;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None | Some(0..0x20) => return Err(self.expected("the end of the string")),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    bytes.push(self.escape()?);
                }
                Some(byte) => bytes.push(byte),
            }
            self.at += 1;
        }
        self.at += 1;
        String::from_utf8(bytes).map_err(|_| self.expected("UTF-8"))
    }

    /// Names of interfaces and fields need no `\u`.
    fn escape(&self) -> Result<u8, JsonError> {
        match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => Ok(byte),
            Some(b'n') => Ok(b'\n'),
            Some(b't') => Ok(b'\t'),
            Some(b'r') => Ok(b'\r'),
            _ => Err(self.expected("one of the escapes \\\" \\\\ \\/ \\n \\t \\r")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        self.members(b']', |reader| {
            items.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut fields = BTreeMap::new();
        self.members(b'}', |reader| {
            let name = reader.text()?;
            reader.space();
            reader.take(b':', "a colon")?;
            fields.insert(name, reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Object(fields))
    }

    fn members(
        &mut self,
        end: u8,
        mut one: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.at += 1;
        self.space();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            one(self)?;
            self.space();
            if self.peek() == Some(end) {
                self.at += 1;
                return Ok(());
            }
            self.take(b',', "a comma or the end of the list")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_needs() {
        let value = parse(r#" {"a": [1, -2.5e3, true, null], "b\"": "x\\y", "c": {}} "#);
        let fields = BTreeMap::from([
            (
                "a".to_owned(),
                Value::List(vec![
                    Value::Number(1.0),
                    Value::Number(-2500.0),
                    Value::Bool(true),
                    Value::Null,
                ]),
            ),
            ("b\"".to_owned(), Value::Text("x\\y".to_owned())),
            ("c".to_owned(), Value::Object(BTreeMap::new())),
        ]);
        assert_eq!(value, Ok(Value::Object(fields)));
    }

    #[test]
    fn refuses_the_rest_and_says_where() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\" 1}", 5),
            ("1 2", 2),
            ("\"a", 2),
            ("1e999", 0),
        ] {
            assert_eq!(parse(text).map_err(|error| error.at), Err(at), "{text}");
        }
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
