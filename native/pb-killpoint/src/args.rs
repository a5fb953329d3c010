//! The command line.

use crate::Failure;

pub const USAGE: &str = "usage: pb-killpoint [--kill N] [--armed] [--log FILE] -- PROGRAM [ARG...]
  --kill N    at the entry of the N-th counted call; without it calls are counted and nothing is killed
  --armed     counts from SIGUSR1 on
  --log FILE  one line a counted call: number, thread, its name, the call, what it is about (tabs between)
The exit code is the program's; 137 when it was killed.";

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub kill: Option<u64>,
    pub armed: bool,
    pub log: Option<String>,
    pub program: Vec<String>,
}

pub fn parse(words: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| usage(word, "needs a value"));
        match word.as_str() {
            "--kill" => {
                let number = value()?.parse().ok().filter(|number| *number > 0);
                options.kill = Some(number.ok_or_else(|| usage(word, "takes a number from 1"))?);
            }
            "--log" => options.log = Some(value()?.clone()),
            "--armed" => options.armed = true,
            "--" => {
                options.program = words.cloned().collect();
                break;
            }
            _ => return Err(usage(word, "is not known")),
        }
    }
    if options.program.is_empty() {
        return Err(Failure::Usage("no program after --".into()));
    }
    Ok(options)
}

fn usage(word: &str, what: &str) -> Failure {
    Failure::Usage(format!("{word} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, Failure> {
        parse(
            &line
                .split_whitespace()
                .map(String::from)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn takes_options_until_the_program() {
        let options = parsed("--kill 7 --armed --log /l -- a --kill").unwrap();
        assert_eq!(options.kill, Some(7));
        assert!(options.armed);
        assert_eq!(options.log.as_deref(), Some("/l"));
        assert_eq!(options.program, ["a", "--kill"]);
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for line in [
            "",
            "--kill",
            "--kill 0 -- a",
            "--kill x -- a",
            "--what -- a",
            "a",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
