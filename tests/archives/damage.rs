//! Archives that are wrong: each is refused with a reason, none is half believed.

use lapps::services::lar::{Archive, Limits};

use super::model::{File, Model, read};

#[track_caller]
fn refused(bytes: &[u8], why: &str) {
    refused_by(bytes, &Limits::default(), why);
}

#[track_caller]
fn refused_by(bytes: &[u8], limits: &Limits, why: &str) {
    let told = read(bytes, limits).expect_err(why).to_string();
    assert!(told.contains(why), "{told:?} instead of {why:?}");
    assert!(!told.contains('\n') && !told.contains('\0'), "{told:?}");
}

#[test]
fn a_good_one_is_read() {
    let files = read(&Model::hello().bytes(), &Limits::default()).unwrap();
    let expected = [("hello/hello.json", &b"{\"name\": \"hello\"}"[..]), ("hello/hello.lua", b"return {}")];
    assert_eq!(files.len(), 2);
    for ((path, mode, content), (expected_path, expected)) in files.iter().zip(expected) {
        assert_eq!((path.as_str(), *mode, content.as_slice()), (expected_path, 0o644, expected));
    }
    let archive = Model::hello().bytes();
    assert_eq!(Archive::open(&archive, &Limits::default()).unwrap().root(), "hello");
}

#[test]
fn sizes_of_blobs_may_leave_out_the_size_in_front() {
    let mut model = Model::hello();
    model.table_blob_off = -4;
    model.files.iter_mut().for_each(|file| file.off = -4);
    assert_eq!(read(&model.bytes(), &Limits::default()).unwrap().len(), 2);
    // But then all of them.
    model.files[1].off = 0;
    read(&model.bytes(), &Limits::default()).unwrap_err();
}

#[test]
fn an_empty_file_is_a_file() {
    let model = Model::new(&[("a/a.json", ""), ("a/b", "")]);
    assert_eq!(read(&model.bytes(), &Limits::default()).unwrap().len(), 2);
}

#[test]
fn cut_anywhere() {
    let bytes = Model::hello().bytes();
    for end in 0..bytes.len() {
        read(&bytes[..end], &Limits::default()).expect_err(&format!("cut at {end}"));
    }
    refused(&[], "does not begin with LAR");
    refused(b"LA", "does not begin with LAR");
    refused(b"LAR\x01", "cut: 4 bytes of 48");
}

#[test]
fn any_bit_flipped() {
    let bytes = Model::hello().bytes();
    let good = read(&bytes, &Limits::default()).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            // A bit of padding at the end of a stream means nothing; everything else is found.
            if let Ok(files) = read(&flipped, &Limits::default()) {
                assert_eq!(files, good, "byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn the_header() {
    refused(b"PK\x03\x04 and so on", "does not begin with LAR");
    let hello = Model::hello();
    refused(&Model { version: 2, ..hello.clone() }.bytes(), "version 2 of the format is not known");
    refused(&Model { count: 1, ..hello.clone() }.bytes(), "bytes follow the last item");
    refused(&Model { count: 3, ..hello.clone() }.bytes(), "item 3 of the table: it is cut");
    refused(&Model { count: 0, ..hello.clone() }.bytes(), "bytes follow the last item");
    refused(&Model::new(&[]).bytes(), "it holds no file");
    refused(
        &Model { sha256: Some(vec![7; 32]), ..hello.clone() }.bytes(),
        "SHA-256 is not that of the files",
    );
    refused(&Model { table: Some(5), ..hello.clone() }.bytes(), "more than the 5 bytes");
    refused(&Model { table: Some(5000), ..hello.clone() }.bytes(), "and 5000 are announced");
    refused(&Model { table_blob_off: 1, ..hello.clone() }.bytes(), "the table takes");
    refused(&Model { table_tail: vec![0], ..hello.clone() }.bytes(), "1 bytes follow the last item");
    refused(&Model { tail: vec![0; 3], ..hello }.bytes(), "3 bytes follow the last file");
}

#[test]
fn the_items() {
    let with = |change: &dyn Fn(&mut File)| {
        let mut model = Model::hello();
        change(&mut model.files[1]);
        model.bytes()
    };
    refused(&with(&|file| file.sha256 = vec![7; 32]), "'hello/hello.lua': its SHA-256");
    refused(&with(&|file| file.size = 8), "says that it has 9 bytes, and 8 are announced");
    refused(&with(&|file| file.told = 10), "says that it has 10 bytes, and 9 are announced");
    refused(&with(&|file| (file.size, file.told) = (8, 8)), "more than the 8 bytes");
    refused(&with(&|file| (file.size, file.told) = (10, 10)), "it has 9 bytes, and 10 are announced");
    refused(&with(&|file| file.off = 1), "beyond the end of the archive");
    refused(&with(&|file| file.off = i64::MAX), "beyond the end of the archive");
    refused(&with(&|file| file.off = -1), "1 bytes follow the last file");
    refused(&with(&|file| file.path = b"hello/\xff".to_vec()), "not UTF-8");
    for mode in [0o4755, 0o2755, 0o1777, 0o040_755, 0o120_777, 0o010_644, 0o060_660, 0o140_777, u32::MAX] {
        refused(&with(&|file| file.mode = mode), "its mode is 0");
    }
    for mode in [0, 0o777, 0o100_644] {
        let files = read(&with(&|file| file.mode = mode), &Limits::default()).unwrap();
        assert_eq!(files[1].1, mode & 0o777);
    }
}

#[test]
fn paths_that_lead_elsewhere_or_clash() {
    for (path, why) in [
        ("../x", "leads elsewhere"),
        ("hello/../../x", "leads elsewhere"),
        ("hello/./x", "leads elsewhere"),
        ("/etc/passwd", "absolute"),
        ("hello//x", "empty name"),
        ("hello/", "empty name"),
        ("", "it is empty"),
        ("hello", "lies in no directory"),
        ("x", "lies in no directory"),
        ("other/x", "there may be only one"),
        ("hello\\x", "'\\\\'"),
        ("hello/x\0.lua", "'\\0'"),
        ("hello/\nx", "'\\n'"),
        ("hello/hello.json", "twice"),
        ("hello/hello.json/x", "cannot be a directory"),
    ] {
        let mut model = Model::hello();
        model.files[1].path = path.into();
        refused(&model.bytes(), why);
    }
    refused(&Model::new(&[("hello/hello.lua", "")]).bytes(), "hello/hello.json is missing");
    refused(&Model::new(&[("hello/sub/hello.json", "")]).bytes(), "hello/hello.json is missing");
}

#[test]
fn the_limits_hold_before_anything_is_unpacked() {
    let hello = Model::hello().bytes();
    let limits = Limits::default();
    refused_by(&hello, &Limits { archive: 100, ..limits }, "at most 100 are allowed");
    refused_by(&hello, &Limits { items: 1, ..limits }, "2 files; at most 1 are allowed");
    refused_by(&hello, &Limits { total: 20, ..limits }, "26 bytes; at most 20 are allowed");
    refused_by(&hello, &Limits { path: 15, ..limits }, "path of 16 bytes; at most 15 are allowed");
    let mut huge = Model::hello();
    huge.table = Some(u32::MAX);
    refused(&huge.bytes(), "a table of 4294967295 bytes");
    let mut huge = Model::hello();
    huge.files[1].size = u64::MAX;
    refused(&huge.bytes(), "the files have 18446744073709551615 bytes");
    huge.count = u32::MAX;
    refused(&huge.bytes(), "4294967295 files");
}

#[test]
fn a_bomb_is_left_alone_after_what_it_announced() {
    let mut model = Model::hello();
    // Half a megabyte of zeros is less than a hundred bytes of bzip2.
    model.files[1] = File { size: 10, told: 10, ..File::new("hello/hello.lua", &vec![0; 8 << 20]) };
    let bytes = model.bytes();
    assert!(bytes.len() < 2000);
    refused(&bytes, "more than the 10 bytes");
    model.files[1].size = 8 << 20;
    model.files[1].told = 8 << 20;
    let small = Limits { total: 1 << 20, ..Limits::default() };
    refused_by(&model.bytes(), &small, "at most 1048576 are allowed");
    read(&model.bytes(), &Limits::default()).unwrap();
}
