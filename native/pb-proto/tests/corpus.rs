//! Every file of the fuzz corpus through the function it was found with, without a fuzzer.

use std::path::Path;

use pb_proto::fuzzing;

fn run(target: &str, function: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let data = std::fs::read(&path).unwrap();
        println!("{}", path.display());
        function(&data);
        files += 1;
        for cut in 0..data.len().min(256) {
            function(&data[..cut]);
        }
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn header() {
    run("header", fuzzing::header);
}

#[test]
fn frames() {
    run("frames", fuzzing::frames);
}

#[test]
fn lane() {
    run("lane", fuzzing::lane);
}

#[test]
fn assembly() {
    run("assembly", fuzzing::assembly);
}

#[test]
fn message() {
    run("message", fuzzing::message);
}
