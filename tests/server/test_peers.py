from server.peers import MISSES, MISSES_S, Peer, Peers, address_of


def test_an_address_holds_so_many_and_others_are_not_concerned():
    peers, one, other = Peers(2, 0), Peer("203.0.113.7"), Peer("203.0.113.8")
    with peers.holding(one):
        assert peers.admit(one) is None
        with peers.holding(one):
            refusal = peers.admit(one)
            assert refusal is not None
            assert (refusal.status, refusal.retry_after_s) == (429, 10)
            assert peers.admit(other) is None
        assert peers.admit(one) is None


def test_a_token_holds_so_many_whoever_shows_it():
    peers = Peers(0, 1)
    with peers.holding(Peer("203.0.113.7", 0)):
        assert peers.admit(Peer("203.0.113.8", 0)) is not None
        assert peers.admit(Peer("203.0.113.7", 1)) is None


def test_this_machine_is_not_counted():
    peers, here = Peers(1, 0), Peer(None)
    with peers.holding(here):
        assert peers.admit(here) is None


def test_who_guesses_is_not_asked_for_a_while():
    peers = Peers(0, 0)
    for guess in range(MISSES):
        assert peers.barred("203.0.113.7", guess) is None
        peers.missed("203.0.113.7", guess)
    refusal = peers.barred("203.0.113.7", MISSES)
    assert refusal is not None
    assert refusal.status == 429
    assert peers.barred("203.0.113.8", MISSES) is None
    assert peers.barred("203.0.113.7", MISSES_S + 1) is None


def test_what_is_remembered_of_guessers_is_bounded():
    peers = Peers(0, 0)
    for number in range(10_000):
        peers.missed(str(number), 0)
    assert len(peers._missed) == 4096


def test_addresses():
    assert address_of("203.0.113.7") == "203.0.113.7"
    assert address_of("::ffff:203.0.113.7") == "203.0.113.7"
    assert address_of("2001:db8:1:2:3::4") == address_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert [address_of(host) for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", None, "unix")] == [None] * 5
