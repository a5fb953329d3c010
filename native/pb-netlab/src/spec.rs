//! The description of one link: what `bench/netlab` writes and `pb-netlab run` reads.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::json::{JsonError, Value, parse};

/// Times are picoseconds, so that a byte's time at 10 Gbit/s (800 ps) is a whole number; 2^64 ps are 213 days.
pub const PS_PER_MS: u64 = 1_000_000_000;
pub const PS_PER_US: u64 = 1_000_000;

/// Without a rate the queue does not exist; without a queue size it is this: 1 BDP of 1 Gbit/s at 100 ms, the bench's default link.
const DEFAULT_QUEUE_BYTES: u64 = 12_500_000;
/// How late a departure may be, in exchange for CPU: a NIC's interrupt coalescing is of this order.
const DEFAULT_TICK_US: u64 = 50;

#[derive(Debug, Error)]
pub enum SpecError {
    #[error("{0}")]
    Json(#[from] JsonError),
    #[error("{field}: {want}")]
    Field { field: String, want: &'static str },
}

#[derive(Clone, Debug)]
pub struct LinkSpec {
    /// Interface names in the emulator's namespace.
    pub a: String,
    pub b: String,
    /// The larger of the two interfaces' MTUs: sizes the rings.
    pub mtu: usize,
    pub tick_ps: u64,
    /// a to b.
    pub forward: DirectionSpec,
    /// b to a.
    pub back: DirectionSpec,
}

#[derive(Clone, Debug, Default)]
pub struct DirectionSpec {
    pub seed: u64,
    /// Of Ethernet frames without preamble and FCS, as netem counts. 0: unlimited.
    pub rate_bits_per_sec: u64,
    pub queue_bytes: u64,
    pub delay_ps: u64,
    /// Delays are spread over delay ± jitter; at most `delay_ps`.
    pub jitter_ps: u64,
    /// Each packet its own jitter, overtaking allowed; else the delay wanders slowly and the order stays.
    pub jitter_reorders: bool,
    /// Shares of packets, 0..=1.
    pub loss: f64,
    pub mean_burst: Option<f64>,
    pub reorder: f64,
    /// How much later a reordered packet comes.
    pub reorder_by_ps: u64,
    pub duplicate: f64,
    pub corrupt: f64,
    /// Swaps two 16-bit words, which the Internet checksum cannot see, in place of flipping a bit.
    pub corrupt_silently: bool,
    /// Larger IP packets vanish (a path MTU black hole). 0: no bound.
    pub mtu: usize,
}

impl LinkSpec {
    pub fn read(text: &str) -> Result<LinkSpec, SpecError> {
        let mut top = Fields::of(parse(text)?, "")?;
        let spec = LinkSpec {
            a: top.text("a")?,
            b: top.text("b")?,
            mtu: top.number("mtu", 1500.0, (68.0, 65_535.0))? as usize,
            tick_ps: top.number("tickUs", DEFAULT_TICK_US as f64, (10.0, 10_000.0))? as u64
                * PS_PER_US,
            forward: direction(top.object("forward")?)?,
            back: direction(top.object("back")?)?,
        };
        top.end()?;
        Ok(spec)
    }
}

fn direction(mut fields: Fields) -> Result<DirectionSpec, SpecError> {
    const MAX: f64 = 9_007_199_254_740_992.0;
    const MAX_MS: f64 = 60_000.0;
    const SHARE: (f64, f64) = (0.0, 1.0);
    let ps = |ms: f64| (ms * PS_PER_MS as f64) as u64;
    let burst = fields.number("meanBurst", 0.0, (0.0, 1e6))?;
    let spec = DirectionSpec {
        seed: fields.number("seed", 0.0, (0.0, MAX))? as u64,
        rate_bits_per_sec: fields.number("rateBitsPerSec", 0.0, (0.0, 1e12))? as u64,
        queue_bytes: fields.number("queueBytes", DEFAULT_QUEUE_BYTES as f64, (0.0, MAX))? as u64,
        delay_ps: ps(fields.number("delayMs", 0.0, (0.0, MAX_MS))?),
        jitter_ps: ps(fields.number("jitterMs", 0.0, (0.0, MAX_MS))?),
        jitter_reorders: fields.flag("jitterReorders")?,
        loss: fields.number("loss", 0.0, (0.0, 0.999))?,
        mean_burst: (burst > 0.0).then_some(burst),
        reorder: fields.number("reorder", 0.0, SHARE)?,
        reorder_by_ps: ps(fields.number("reorderByMs", 1.0, (0.0, MAX_MS))?),
        duplicate: fields.number("duplicate", 0.0, SHARE)?,
        corrupt: fields.number("corrupt", 0.0, SHARE)?,
        corrupt_silently: fields.flag("corruptSilently")?,
        mtu: fields.number("mtu", 0.0, (0.0, 65_535.0))? as usize,
    };
    if spec.jitter_ps > spec.delay_ps {
        return Err(fields.wrong("jitterMs", "no more than delayMs"));
    }
    fields.end()?;
    Ok(spec)
}

/// An object whose every field must be asked for: a misspelt one is an error.
struct Fields {
    path: String,
    left: BTreeMap<String, Value>,
}

impl Fields {
    fn of(value: Value, path: &str) -> Result<Fields, SpecError> {
        let path = path.to_owned();
        match value {
            Value::Object(left) => Ok(Fields { path, left }),
            _ => Err(SpecError::Field {
                field: path,
                want: "an object",
            }),
        }
    }

    fn wrong(&self, name: &str, want: &'static str) -> SpecError {
        SpecError::Field {
            field: format!("{}{name}", self.path),
            want,
        }
    }

    fn number(
        &mut self,
        name: &str,
        default: f64,
        (min, max): (f64, f64),
    ) -> Result<f64, SpecError> {
        match self.left.remove(name) {
            None => Ok(default),
            Some(Value::Number(number)) if (min..=max).contains(&number) => Ok(number),
            Some(_) => Err(self.wrong(name, "a number within its bounds")),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, SpecError> {
        match self.left.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    fn text(&mut self, name: &str) -> Result<String, SpecError> {
        match self.left.remove(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.wrong(name, "a string")),
        }
    }

    fn object(&mut self, name: &str) -> Result<Fields, SpecError> {
        let path = format!("{}{name}.", self.path);
        let value = self.left.remove(name);
        Fields::of(value.unwrap_or(Value::Null), &path)
    }

    fn end(&self) -> Result<(), SpecError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, "no such field")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_link() {
        let text = r#"{"a":"w0","b":"w1","mtu":9000,"tickUs":20,
            "forward":{"seed":5,"rateBitsPerSec":2e7,"delayMs":50,"loss":0.01,"meanBurst":10},"back":{}}"#;
        let link = LinkSpec::read(text).expect("a link");
        assert_eq!(
            (link.a.as_str(), link.mtu, link.tick_ps),
            ("w0", 9000, 20_000_000)
        );
        assert_eq!(link.forward.delay_ps, 50 * PS_PER_MS);
        assert_eq!(link.forward.mean_burst, Some(10.0));
        assert_eq!(link.back.rate_bits_per_sec, 0);
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (direction, field) in [
            (r#"{"los":0.1}"#, "forward.los"),
            (r#"{"loss":2}"#, "forward.loss"),
            (r#"{"delayMs":"5"}"#, "forward.delayMs"),
            (r#"{"delayMs":5,"jitterMs":6}"#, "forward.jitterMs"),
        ] {
            let text = format!(r#"{{"a":"x","b":"y","forward":{direction},"back":{{}}}}"#);
            let error = LinkSpec::read(&text).expect_err("an error");
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }
}
