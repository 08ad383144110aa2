//! Each way to leave the protocol, forged by a peer that holds the key, and the name of the error it
//! meets.

use alloc::vec;
use alloc::vec::Vec;

use super::hostile::{SMALL, stop_before};
use super::support::{KEY, Replica, Run};
use crate::merkle::ProtocolError as Form;
use crate::merkle::TreeKey;
use crate::merkle::cells::{Cell, Lanes};
use crate::merkle::prf::TreePrf;
use crate::range::frame::{Hello, Tag, hello_check};
use crate::range::{KeyRange, Limits, ProtocolError, RangeSession, RangeTree};
use ProtocolError as E;

fn replicas() -> (Replica, Replica) {
    let rows = |version| (0..500_u32).map(move |at| (at.to_be_bytes(), version));
    (Replica::of(rows(1)), Replica::of(rows(1).skip(1)))
}

fn middle() -> KeyRange {
    KeyRange::new(&[0, 0, 0, 10], Some(&[0, 0, 1, 0x80])).unwrap()
}

/// What the initiator says to a frame of the acceptor, forged in place of its first answer to the
/// one question of the hello.
fn answer_to_hello(content: &[u8]) -> Result<(), ProtocolError> {
    let (a, mut b) = replicas();
    b.put(&[0, 0, 1, 0], 2);
    let mut run = Run::start((&a, &b), (&middle(), &middle()), (SMALL, SMALL), 0);
    run.step().unwrap();
    run.step().unwrap();
    let frame = run.forge(false, content.to_vec());
    let result = run.initiator.handle(&frame);
    run.exhaust();
    result
}

/// Tag, sequence, flags, one answered question that differs, width, and what is said about it.
fn answer(flags: u8, width: u8, entry: &[u8]) -> Result<(), ProtocolError> {
    answer_to_hello(&[&[Tag::Answers.byte(), 1, flags, 1, 1, 1, width], entry].concat())
}

/// Two parts, with this bound between them.
fn split_at(bound: &[u8]) -> Result<(), ProtocolError> {
    answer(0, 4, &[&[2, 4, 1, 2, 3, 4], bound, &[0, 1, 2, 3, 4]].concat())
}

#[test]
fn bounds_ascend_within_the_range_they_split() {
    // The range starts with `00 00 00 0a`: three bytes are kept, one follows.
    assert_eq!(split_at(&[3 << 3 | 1, 0x0b]), Ok(()));
    assert_eq!(split_at(&[4 << 3 | 1, 0x00]), Ok(()), "all of the start, and more");
    assert_eq!(split_at(&[3 << 3 | 1, 0x09]), Err(E::BoundsOutOfOrder));
    assert_eq!(split_at(&[3 << 3 | 1, 0x0a]), Err(E::Form(Form::NotCanonical)), "not above the start");
    assert_eq!(
        split_at(&[2 << 3 | 2, 0x00, 0x0b]),
        Err(E::Form(Form::NotCanonical)),
        "one byte too few kept"
    );
    assert_eq!(split_at(&[5 << 3 | 1, 0x00]), Err(E::BoundsOutOfOrder), "more kept than there is");
    assert_eq!(split_at(&[2 << 3 | 1, 0x01]), Ok(()), "below the end, which is `00 00 01 80`");
    assert_eq!(split_at(&[2 << 3 | 2, 0x01, 0x80]), Err(E::BoundOutside), "the end itself");
    assert_eq!(split_at(&[1, 0x01]), Err(E::BoundOutside));
    assert_eq!(split_at(&[3 << 3, 3, 0x0b, 0, 0]), Err(E::Form(Form::NotCanonical)), "a short rest");
    let long = [&[3 << 3, 0xfe, 0x07], &[0x0b; 1_022][..]].concat();
    assert_eq!(split_at(&long), Err(E::BoundTooLong { len: 1_025 }));
    let second_below_first = [4, 1, 2, 3, 4, 3 << 3 | 1, 0x0c, 0, 1, 2, 3, 4, 3 << 3 | 1, 0x0b];
    let three = [&[3], &second_below_first[..], &[0, 1, 2, 3, 4]].concat();
    assert_eq!(answer(0, 4, &three), Err(E::BoundsOutOfOrder), "ranges that overlap");
}

#[test]
fn each_deviation_has_its_name() {
    assert_eq!(answer(0, 4, &[0, 1, 0, 0, 0, 1]), Ok(()));
    assert_eq!(answer(0, 4, &[0, 2, 0, 0, 0, 1, 0, 0, 0, 1]), Ok(()), "equal fingerprints are legal");
    assert_eq!(answer(0, 4, &[0, 2, 0, 0, 0, 2, 0, 0, 0, 1]), Err(E::Unsorted));
    assert_eq!(answer(0, 4, &[0, 2, 0, 0, 0, 2]), Err(E::Form(Form::Truncated)));
    assert_eq!(answer(0, 4, &[0, 0, 0]), Err(E::Form(Form::TrailingBytes { count: 1 })));
    assert_eq!(answer(0, 3, &[0, 0]), Err(E::Width { width: 3 }));
    assert_eq!(answer(0, 9, &[0, 0]), Err(E::Width { width: 9 }));
    assert_eq!(answer(8, 4, &[0, 0]), Err(E::Flags { flags: 8 }));
    assert_eq!(answer(0, 4, &[1, 5]), Err(E::NotEmpty { held: 374 }));
    assert_eq!(answer(0, 4, &[0x81, 2]), Err(E::Parts { parts: 257, max: 256 }));
    assert_eq!(
        answer(1, 4, &[2, 4, 1, 2, 3, 4, 25, 11, 0, 1, 2, 3, 4]),
        Err(E::Flags { flags: 1 }),
        "a split does not go on"
    );

    let raw = |content: &[u8]| answer_to_hello(&[&[Tag::Answers.byte(), 1], content].concat());
    assert_eq!(raw(&[0, 2, 0, 4]), Err(E::NeverAsked { answered: 2, open: 1 }));
    assert_eq!(raw(&[0, 0, 0, 4]), Err(E::Idle));
    assert_eq!(raw(&[4, 1, 0, 0, 0, 1, 0, 4]), Err(E::NeverAsked { answered: 1, open: 0 }), "nothing listed");
    assert_eq!(raw(&[0, 1, 2]), Err(E::Form(Form::PositionOutOfRange)));
    assert_eq!(raw(&[0, 1, 0, 4]), Ok(()), "nothing found");
    assert_eq!(answer_to_hello(&[Tag::Root.byte(), 1]), Err(E::Unexpected { tag: 0x13 }));
    assert_eq!(answer_to_hello(&[9, 1]), Err(E::UnknownTag { tag: 9 }));
    assert_eq!(answer_to_hello(&[0; 1_300]), Err(E::FrameTooLarge { len: 1_304, max: 1_200 }));
}

#[test]
fn the_frames_of_a_turn_are_alike_and_move_on() {
    let (a, mut b) = replicas();
    b.put(&[0, 0, 1, 0], 2);
    let second = |content: &[u8]| {
        let mut run = Run::start((&a, &b), (&middle(), &middle()), (SMALL, SMALL), 0);
        run.step().unwrap();
        run.step().unwrap();
        let first = run.forge(false, vec![Tag::Answers.byte(), 1, 1, 1, 1, 1, 4, 0, 1, 0, 0, 0, 1]);
        assert_eq!(run.initiator.handle(&first), Ok(()));
        let second = run.forge(false, [&[Tag::Answers.byte(), 2], content].concat());
        run.initiator.handle(&second)
    };
    assert_eq!(second(&[0, 0, 0, 4, 1, 0, 0, 0, 2]), Ok(()));
    assert_eq!(second(&[0, 0, 0, 5, 1, 0, 0, 0, 2, 9]), Err(E::MixedTurn));
    assert_eq!(second(&[0, 0, 0, 4, 1, 0, 0, 0, 0]), Err(E::Unsorted), "sorted over both frames");
    assert_eq!(second(&[1, 0, 0, 4, 0]), Err(E::Idle), "a list that goes on and never gets on");
}

/// What an initiator says to wants that do not fit its lists.
#[test]
fn wants_are_about_listed_items() {
    let rows = |version| (0..20_u32).map(move |at| (at.to_be_bytes(), version));
    let (a, b) = (Replica::of(rows(1)), Replica::of(rows(2)));
    let all = KeyRange::all();
    let wants = |content: &[u8]| {
        let mut run = Run::start((&a, &b), (&all, &all), (SMALL, SMALL), 0);
        for _ in 0..3 {
            run.step().unwrap();
        }
        let forged = run.forge(true, [&[Tag::Answers.byte(), 1], content].concat());
        run.acceptor.handle(&forged)
    };
    assert_eq!(wants(&[4, 20, 0, 0, 0, 0, 4]), Ok(()));
    assert_eq!(wants(&[4, 21, 0, 0, 0, 0, 4]), Err(E::NeverAsked { answered: 21, open: 20 }));
    assert_eq!(wants(&[4, 0, 0, 0, 0, 0, 4]), Err(E::Idle));
    assert_eq!(wants(&[0, 0, 0, 4]), Err(E::Idle), "the lists are not spoken about");
    assert_eq!(wants(&[4, 19, 0, 0, 0, 0, 4]), Ok(()), "more may come");
}

/// A hello with one field changed, and what an acceptor says to it.
fn hello_with(change: impl FnOnce(&mut Hello)) -> Result<(), ProtocolError> {
    let mut hello = Hello {
        nonce: [3; 16],
        max_frame: 2_000,
        max_open_ranges: 10,
        max_items: 64,
        range: Some(middle()),
        cell: Cell { lanes: Lanes::from_u128(5), count: 5 },
    };
    change(&mut hello);
    accept(&hello.encode(Tag::Hello, &[], &TreePrf::new(&KEY)))
}

fn accept(hello: &[u8]) -> Result<(), ProtocolError> {
    let (_, b) = replicas();
    let mut session = RangeSession::accept(b.tree.snapshot(), middle(), [4; 16], Limits::default());
    let result = session.handle(hello);
    assert!(session.poll_frame().is_some(), "the peer learns that something is wrong");
    result
}

#[test]
fn an_impossible_hello_is_refused() {
    let refused = |field| Err(E::Hello { field });
    assert_eq!(hello_with(|_| ()), Ok(()));
    assert_eq!(hello_with(|hello| hello.max_frame = 1_199), refused("max_frame"));
    assert_eq!(hello_with(|hello| hello.max_open_ranges = 0), refused("max_open_ranges"));
    assert_eq!(hello_with(|hello| hello.max_items = 63), refused("max_items"));
    assert_eq!(hello_with(|hello| hello.cell.count = 0), refused("sum"));
    assert_eq!(hello_with(|hello| hello.range = None), refused("count"));
    let ask_nothing = |hello: &mut Hello| (hello.range, hello.cell) = (None, Cell::default());
    assert_eq!(hello_with(ask_nothing), Err(E::NotAuthorized));
    let elsewhere = |hello: &mut Hello| hello.range = Some(KeyRange::prefix(b"x").unwrap());
    assert_eq!(hello_with(elsewhere), Err(E::NotAuthorized));
}

#[test]
fn another_key_version_or_range_is_named_as_such() {
    let hello = Hello {
        nonce: [3; 16],
        max_frame: 2_000,
        max_open_ranges: 10,
        max_items: 64,
        range: Some(middle()),
        cell: Cell::default(),
    };
    let foreign = hello.encode(Tag::Hello, &[], &TreePrf::new(&TreeKey::new([8; 16])));
    assert_eq!(accept(&foreign), Err(E::KeyMismatch));

    let reseal = |mut frame: Vec<u8>, at: usize, byte: u8| {
        frame.truncate(frame.len() - 4);
        frame[at] = byte;
        let check = hello_check(&frame);
        [frame, check.to_vec()].concat()
    };
    let own = hello.encode(Tag::Hello, &[], &TreePrf::new(&KEY));
    assert_eq!(accept(&reseal(own.clone(), 2, 2)), Err(E::Version { ours: 1, theirs: 2 }));
    // The last byte of the start: a range that a third party widened.
    let start = own.windows(4).position(|bytes| bytes == [0, 0, 0, 10]).unwrap();
    assert_eq!(accept(&reseal(own.clone(), start + 3, 9)), Err(E::KeyMismatch));
    assert_eq!(accept(&reseal(own, start - 2, 3)), Err(E::Form(Form::NotCanonical)));
}

#[test]
fn a_welcome_agrees_to_what_was_asked_for_or_less() {
    let (a, _) = replicas();
    let welcomed = |range: Option<KeyRange>| {
        let mut session = RangeSession::initiate(a.tree.snapshot(), middle(), [3; 16], Limits::default());
        let hello = session.poll_frame().unwrap();
        let cell = Cell { lanes: Lanes::default(), count: u32::from(range.is_some()) };
        let welcome =
            Hello { nonce: [4; 16], max_frame: 2_000, max_open_ranges: 10, max_items: 64, range, cell };
        session.handle(&welcome.encode(Tag::Welcome, &hello, &TreePrf::new(&KEY)))
    };
    assert_eq!(welcomed(Some(middle())), Ok(()));
    assert_eq!(welcomed(Some(KeyRange::new(&[0, 0, 0, 11], Some(&[0, 0, 1])).unwrap())), Ok(()));
    assert_eq!(welcomed(Some(KeyRange::new(&[0, 0, 0, 9], Some(&[0, 0, 1])).unwrap())), Err(E::Widened));
    assert_eq!(welcomed(Some(KeyRange::all())), Err(E::Widened));
    assert_eq!(welcomed(None), Err(E::NotAuthorized));
}

/// The peer was told the limits in the hello.
#[test]
fn a_peer_that_exceeds_the_agreed_limits_is_stopped() {
    let (a, b) = replicas();
    let all = KeyRange::all();
    let limits = Limits { max_items: 64, max_open_ranges: 2, ..Limits::default() };
    let mut run = Run::start((&a, &b), (&all, &all), (limits, Limits::default()), 0);
    run.step().unwrap();
    run.step().unwrap();
    let list = [&[Tag::Answers.byte(), 1, 0, 1, 1, 1, 4, 0, 65], &[0; 260][..]].concat();
    let list = run.forge(false, list);
    assert_eq!(run.initiator.handle(&list), Err(E::TooManyItems { max: 64 }));

    let mut run = Run::start((&a, &b), (&all, &all), (limits, Limits::default()), 0);
    for _ in 0..3 {
        run.step().unwrap();
    }
    // All sixteen parts of the acceptor's split differ, as empty lists say.
    let all_differ = [&[Tag::Answers.byte(), 1, 0, 16, 16, 0xff, 0xff, 4], &[0; 32][..]].concat();
    let all_differ = run.forge(true, all_differ);
    assert_eq!(run.acceptor.handle(&all_differ), Err(E::TooManyRanges { max: 2 }));
}

/// The initiator's sum over a narrowed range, forged.
#[test]
fn a_sum_without_items_is_refused() {
    let (a, b) = super::hostile::replicas();
    let (mut run, from_initiator, frame) = stop_before((&a, &b), 2);
    assert!(from_initiator && frame[0] == Tag::Root.byte());
    let forged = run.forge(true, [&[Tag::Root.byte(), 1, 0], &[1; 16][..]].concat());
    assert_eq!(run.deliver(true, &forged), Err(E::Hello { field: "sum" }));
    let (mut run, ..) = stop_before((&a, &b), 2);
    let early = run.forge(true, vec![Tag::Answers.byte(), 1, 0, 1, 0, 4]);
    assert_eq!(run.deliver(true, &early), Err(E::Unexpected { tag: 0x14 }), "the sum comes first");
}

#[test]
fn errors_say_what_happened() {
    use alloc::string::ToString;
    assert_eq!(E::BoundOutside.to_string(), "a bound lies outside the range that it should split");
    assert_eq!(E::Form(Form::Truncated).to_string(), Form::Truncated.to_string());
    let mut tree = RangeTree::new(&KEY);
    assert!(tree.insert(&[0; 1_025], 1).unwrap_err().to_string().contains("nothing was changed"));
}
