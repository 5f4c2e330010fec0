/* peerwire: forged, replayed, late and cut messages. */

#include "peerwire.h"

#include <stdlib.h>

#include "unit.h"

static const unsigned char key[SECRET_KEY] = { 1, 2, 3 };
static const unsigned char other[SECRET_KEY] = { 3, 2, 1 };

#define NOW INT64_C(1763700000000)

static void
request(struct buf *b, char nonce[PEER_NONCE], int64_t now_ms)
{
	struct verr e = VERR_INIT;

	buf_clear(b);
	CHECK(peer_nonce(nonce, &e) == 0);
	CHECK(peer_write(b, key, PEER_REQUEST, "demote", now_ms, nonce, "{}",
			 &e) == 0);
}

/* Of a copy, since reading changes the text. */
static enum peer_verdict
judge(const char *text, const unsigned char *with,
      enum peer_direction direction, const char *name, int64_t now_ms,
      const char *nonce)
{
	struct peer_message m;
	char *copy = strdup(text);
	enum peer_verdict v =
		peer_read(copy, with, direction, name, now_ms, nonce, &m);

	CHECK(m.body != NULL);
	free(copy);
	return v;
}

static enum peer_verdict
demand(const char *text, int64_t now_ms)
{
	return judge(text, key, PEER_REQUEST, "demote", now_ms, NULL);
}

static void
test_a_request_counts_once(void)
{
	struct buf b = BUF_INIT;
	char nonce[PEER_NONCE];

	request(&b, nonce, NOW);
	CHECK(demand(b.data, NOW) == PEER_GOOD);
	CHECK(demand(b.data, NOW) == PEER_REPLAY);
	CHECK(demand(b.data, NOW + PEER_WINDOW_MS) == PEER_REPLAY);
	request(&b, nonce, NOW);
	CHECK(demand(b.data, NOW) == PEER_GOOD);
	buf_release(&b);
}

static void
test_a_request_is_of_now(void)
{
	static const struct {
		int64_t sent, read;
		enum peer_verdict want;
	} testv[] = {
		{ NOW, NOW + PEER_WINDOW_MS, PEER_GOOD },
		{ NOW, NOW - PEER_WINDOW_MS, PEER_GOOD },
		{ NOW, NOW + PEER_WINDOW_MS + 1, PEER_LATE },
		{ NOW, NOW - PEER_WINDOW_MS - 1, PEER_LATE },
		{ NOW, 0, PEER_LATE },
		{ 1, NOW, PEER_LATE },
		{ INT64_MAX, NOW, PEER_LATE },
		/* No time at all. */
		{ 0, NOW, PEER_FORGED },
		{ -5, NOW, PEER_FORGED },
	};
	struct buf b = BUF_INIT;
	char nonce[PEER_NONCE];

	for (size_t i = 0; i < COUNT(testv); i++) {
		request(&b, nonce, testv[i].sent);
		if (!CHECK(demand(b.data, testv[i].read) == testv[i].want))
			printf("case %zu\n", i);
	}
	/* Late is not seen: it may still come in time. */
	request(&b, nonce, NOW);
	CHECK(demand(b.data, NOW + 60000) == PEER_LATE);
	CHECK(demand(b.data, NOW) == PEER_GOOD);
	buf_release(&b);
}

static void
test_an_answer_is_of_its_request(void)
{
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	char asked[PEER_NONCE], before[PEER_NONCE];

	CHECK(peer_nonce(asked, &e) == 0 && peer_nonce(before, &e) == 0);
	CHECK(strcmp(asked, before) != 0);
	CHECK(peer_write(&b, key, PEER_ANSWER, "state", 1, asked, "{\"a\":1}",
			 &e) == 0);
	/* Whatever the clocks say. */
	CHECK(judge(b.data, key, PEER_ANSWER, "state", NOW, asked) ==
	      PEER_GOOD);
	CHECK(judge(b.data, key, PEER_ANSWER, "state", NOW, before) ==
	      PEER_FORGED);
	CHECK(judge(b.data, key, PEER_ANSWER, "demote", NOW, asked) ==
	      PEER_FORGED);
	CHECK(judge(b.data, key, PEER_REQUEST, "state", 1, NULL) ==
	      PEER_FORGED);
	CHECK(judge(b.data, other, PEER_ANSWER, "state", NOW, asked) ==
	      PEER_FORGED);
	buf_release(&b);
}

/* Any byte that is changed, any end that is cut off. */
static void
test_forged_and_cut(void)
{
	struct buf b = BUF_INIT;
	char nonce[PEER_NONCE];

	request(&b, nonce, NOW);
	for (size_t i = 0; i < b.len; i++) {
		char kept = b.data[i];

		b.data[i] ^= 1;
		if (!CHECK(demand(b.data, NOW) == PEER_FORGED))
			printf("byte %zu\n", i);
		b.data[i] = '\0';
		if (!CHECK(demand(b.data, NOW) == PEER_FORGED))
			printf("cut at %zu\n", i);
		b.data[i] = kept;
	}
	CHECK(demand(b.data, NOW) == PEER_GOOD);
	buf_puts(&b, " ");
	CHECK(demand(b.data, NOW) == PEER_FORGED);
	buf_release(&b);
}

static void
test_rubbish(void)
{
	static const char *const testv[] = {
		"",
		"\n",
		"voip-peer 1 \n{}",
		"voip-peer 1    \n{}",
		"voip-peer 2 1 00000000000000000000000000000000 0\n{}",
		"voip-peer 1 x 00000000000000000000000000000000 "
		"0000000000000000000000000000000000000000000000000000000000000"
		"000\n{}",
		"voip-peer 1 1 0000 0000\n{}",
		"GET / HTTP/1.1\n",
	};

	for (size_t i = 0; i < COUNT(testv); i++)
		CHECK(demand(testv[i], NOW) == PEER_FORGED);
}

static void
test_nonces_are_kept_as_long_as_they_count(void)
{
	struct buf first = BUF_INIT, b = BUF_INIT;
	char nonce[PEER_NONCE];

	request(&first, nonce, NOW);
	CHECK(demand(first.data, NOW) == PEER_GOOD);
	/* As many as a peer sends in both windows, and more. */
	for (int i = 0; i < 2000; i++) {
		request(&b, nonce, NOW + i * 30);
		CHECK(demand(b.data, NOW + i * 30) == PEER_GOOD);
	}
	CHECK(demand(first.data, NOW) == PEER_REPLAY);
	buf_release(&first);
	buf_release(&b);
}

static void
write_one(bool may_fail)
{
	char nonce[PEER_NONCE] = "00000000000000000000000000000000";
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	int rc = peer_write(&b, key, PEER_REQUEST, "state", NOW, nonce, "{}",
			    &e);

	CHECK(rc == 0 || (may_fail && e.kind == VERR_RETRY));
	buf_release(&b);
}

int
main(void)
{
	test_a_request_counts_once();
	test_a_request_is_of_now();
	test_an_answer_is_of_its_request();
	test_forged_and_cut();
	test_rubbish();
	test_nonces_are_kept_as_long_as_they_count();
	CHECK(unit_each_failure(write_one) > 0);
	return unit_end();
}
