use std::net::IpAddr;

use crate::domain::secret;
use crate::http::limits::*;

fn try_enter(admission: &Arc<Admission>, address: &str, token: &str, class: RequestClass) -> Result<Permit, Error> {
    let credential = (!token.is_empty()).then_some(Credential::Bearer(token));
    admission.admit(Some(Client::from(address.parse::<IpAddr>().unwrap())), credential, class)
}

fn enter(admission: &Arc<Admission>, address: &str, token: &str) -> Permit {
    try_enter(admission, address, token, RequestClass::Request).unwrap()
}

/// Admits a request whose token is valid.
fn enter_known(admission: &Arc<Admission>, address: &str, token: &str) -> Result<Permit, Error> {
    let mut permit = enter(admission, address, token);
    permit.count_caller(None, RequestClass::Request).map(|()| permit)
}

fn limit<T>(done: Result<T, Error>) -> Option<Limit> {
    match done {
        Ok(_) => None,
        Err(Error::Throttled(limit, _)) => Some(limit),
        Err(other) => panic!("{other}"),
    }
}

fn admission(limits: Limits) -> Arc<Admission> {
    Arc::new(Admission::new(limits))
}

#[test]
fn a_bucket_allows_a_burst_of_ten_seconds_and_then_the_rate() {
    let (mut bucket, start) = (Bucket::default(), Instant::now());
    for _ in 0..20 {
        bucket.take(start, 2).unwrap();
    }
    assert_eq!(bucket.take(start, 2), Err(Duration::from_millis(500)));
    let later = start + Duration::from_secs(1);
    assert_eq!([bucket.take(later, 2), bucket.take(later, 2)], [Ok(()), Ok(())]);
    assert_eq!(bucket.take(later, 2), Err(Duration::from_millis(500)));
    // It never holds more than ten seconds of requests.
    let much_later = start + Duration::from_hours(1);
    for _ in 0..20 {
        bucket.take(much_later, 2).unwrap();
    }
    assert!(bucket.take(much_later, 2).is_err());
    for _ in 0..1_000 {
        bucket.take(start, 0).unwrap();
    }
}

#[test]
fn ended_requests_are_not_counted() {
    let admission = admission(Limits { requests: 3, requests_each: 2, ..Limits::default() });
    // The limit applies to a token at all addresses together.
    let mut held: Vec<_> = (1..=2).map(|i| enter_known(&admission, &format!("192.0.2.{i}"), "a").unwrap()).collect();
    assert_eq!(limit(enter_known(&admission, "192.0.2.3", "a")), Some(Limit::AtOnce));
    held.push(enter_known(&admission, "192.0.2.1", "b").unwrap());
    for _ in 0..5 {
        assert!(matches!(enter_known(&admission, "192.0.2.1", "c"), Err(Error::Busy)));
    }
    // The health check is always admitted.
    held.push(try_enter(&admission, "192.0.2.3", "", RequestClass::Health).unwrap());
    // A finished request frees its place before the client has read the answer.
    held[0].finish();
    held.push(enter_known(&admission, "192.0.2.3", "a").unwrap());
    assert_eq!(admission.running.load(Ordering::Relaxed), 3);
    held.clear();
    assert_eq!(admission.running.load(Ordering::Relaxed), 0);
    let permits = ["a", "a", "b"].map(|token| enter_known(&admission, "192.0.2.1", token).unwrap());
    assert_eq!(permits.len(), 3);
}

#[test]
fn unknown_tokens_do_not_block_known_ones() {
    let admission = admission(Limits { requests: 3, requests_each: 2, ..Limits::default() });
    drop(enter_known(&admission, "192.0.2.1", "known").unwrap());
    let strangers: Vec<_> = (0..40)
        .filter_map(|i| try_enter(&admission, &format!("192.0.2.{}", i % 10), "", RequestClass::Request).ok())
        .collect();
    assert_eq!(strangers.len(), 20);
    assert_eq!(limit(try_enter(&admission, "192.0.2.1", "new", RequestClass::Request)), Some(Limit::AtOnce));
    // Known tokens are admitted at this address and at others.
    let held = ["192.0.2.1", "198.51.100.1"].map(|address| enter_known(&admission, address, "known").unwrap());
    assert!(enter_known(&admission, "198.51.100.2", "new").is_ok());
    drop((strangers, held));
    let client = Client::from("192.0.2.1".parse::<IpAddr>().unwrap());
    assert_eq!(admission.addresses.lock().unwrap().get_mut(&client).unwrap().unverified, 0);
}

#[test]
fn one_token_does_not_block_others_at_its_address() {
    let admission = admission(Limits { requests_each: 2, ..Limits::default() });
    let held = [(); 2].map(|()| enter_known(&admission, "192.0.2.1", "a").unwrap());
    assert_eq!(limit(enter_known(&admission, "192.0.2.1", "a")), Some(Limit::AtOnce));
    assert!(enter_known(&admission, "192.0.2.1", "b").is_ok());
    drop(held);
}

#[test]
fn tokens_of_one_bearer_count_together() {
    let admission = admission(Limits { requests_each: 2, ..Limits::default() });
    let bearer = secret::digest("bearer");
    let mut held: Vec<_> = ["a", "b", "c"].map(|token| enter(&admission, &format!("{token}::1"), token)).into();
    let known: Vec<_> =
        held.iter_mut().map(|permit| limit(permit.count_caller(Some(bearer), RequestClass::Request))).collect();
    assert_eq!(known, [None, None, Some(Limit::AtOnce)]);
}

#[test]
fn addresses_that_guess_tokens_are_delayed() {
    let (admission, now) = (admission(Limits::default()), Instant::now());
    let guess = |i: u32| {
        let permit = enter(&admission, "2001:db8::1", &i.to_string());
        assert_eq!(permit.guess_delay(now), None, "{i}");
        permit.record_unknown_token(now);
    };
    drop(enter_known(&admission, "2001:db8::1", "known").unwrap());
    (0..GUESSES_BURST).for_each(guess);
    let is_delayed = |address: &str, token: &str| enter(&admission, address, token).guess_delay(now).is_some();
    assert!(is_delayed("2001:db8::2", "another"));
    assert!(!is_delayed("2001:db8::2", "known"));
    assert!(!is_delayed("2001:db8::2", ""));
    assert!(!is_delayed("2001:db8:0:1::1", "another"));
    // A token that proves valid is admitted from then on, until it is unknown again.
    drop(enter_known(&admission, "2001:db8::2", "another").unwrap());
    assert!(!is_delayed("2001:db8::2", "another"));
    enter(&admission, "2001:db8::2", "another").record_unknown_token(now);
    assert!(is_delayed("2001:db8::2", "another"));
}

#[test]
fn memory_is_limited_per_token_and_in_total() {
    const MIB: usize = 1 << 20;
    let admission = admission(Limits { buffered: 5 * MIB, buffered_each: 3 * MIB, ..Limits::default() });
    let [ann, also_ann, bob] = ["a", "a", "b"].map(|token| enter_known(&admission, "192.0.2.1", token).unwrap());
    ann.count_memory(UNCOUNTED).unwrap();
    ann.count_memory(3 * MIB).unwrap();
    assert_eq!(limit(ann.count_memory(1)), Some(Limit::Buffered));
    assert_eq!(limit(also_ann.count_memory(UNCOUNTED + 1)), Some(Limit::Buffered));
    also_ann.count_memory(UNCOUNTED).unwrap();
    assert!(matches!(bob.count_memory(UNCOUNTED + 3 * MIB), Err(Error::Busy)));
    bob.count_memory(UNCOUNTED + 2 * MIB).unwrap();
    // The answer of a write is counted even beyond the limit.
    bob.count_memory_of_write(2 * MIB);
    assert_eq!(admission.buffered.load(Ordering::Relaxed), 7 * MIB);
    let mut ann = ann;
    ann.finish();
    assert!(also_ann.count_memory(1).is_err());
    drop(ann);
    assert!(matches!(also_ann.count_memory(2 * MIB), Err(Error::Busy)));
    also_ann.count_memory(MIB).unwrap();
    bob.release_memory();
    drop((also_ann, bob));
    assert_eq!(admission.buffered.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn long_requests_wait_only_for_requests_of_the_same_token() {
    let admission = admission(Limits::default());
    let permits: Vec<_> = ["a", "a", "a", "b"].map(|token| enter_known(&admission, "192.0.2.1", token).unwrap()).into();
    for permit in [&permits[0], &permits[1], &permits[0]] {
        permit.acquire_long_turn().await.unwrap();
    }
    let waits = permits[2].acquire_long_turn();
    let mut waits = std::pin::pin!(waits);
    assert!(futures_util::poll!(waits.as_mut()).is_pending());
    permits[3].acquire_long_turn().await.unwrap();
    permits[0].release_turns();
    waits.await.unwrap();
    // A token has 64 turns. A read takes four.
    let all: Vec<_> = (0..17).map(|_| enter_known(&admission, "192.0.2.1", "c").unwrap()).collect();
    for permit in &all[..15] {
        permit.acquire_turn(true).await.unwrap();
    }
    all[15].acquire_turn(false).await.unwrap();
    let mut waits = std::pin::pin!(all[16].acquire_turn(true));
    assert!(futures_util::poll!(waits.as_mut()).is_pending());
    all[0].release_turns();
    waits.await.unwrap();
    // A request without a known token does not wait.
    enter(&admission, "192.0.2.1", "").acquire_long_turn().await.unwrap();
}

#[test]
fn unknown_clients_and_tokens_use_bounded_memory() {
    let admission = admission(Limits { rate_address: 1, ..Limits::default() });
    for i in 0..50_000_u32 {
        let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(i)).to_string();
        enter(&admission, &address, &i.to_string()).record_unknown_token(Instant::now());
    }
    assert!(admission.addresses.lock().unwrap().len() <= MAX_REMEMBERED);
    assert_eq!(admission.tokens.lock().unwrap().len(), 0);
}
