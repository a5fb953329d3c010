#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pb_proto::fuzzing::message(data));
