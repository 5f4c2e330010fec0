/*
 * hajournal and hastate: what was begun is known after a kill at any moment,
 * and what two versions say to each other.
 */

#include "hajournal.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "unit.h"

static char dir[] = "/tmp/voip-journal.XXXXXX";
static size_t lines;
static char last[1024];

static void
in_dir(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void
count(const char *line, void *arg)
{
	(void)arg;
	lines++;
	snprintf(last, sizeof(last), "%s", line);
}

static size_t
journal(size_t max)
{
	struct verr e = VERR_INIT;

	lines = 0;
	*last = '\0';
	CHECK(ha_journal_read(max, count, NULL, &e) == 0);
	return lines;
}

static struct ha_kept
kept(void)
{
	struct verr e = VERR_INIT;
	struct ha_kept k;

	CHECK(ha_kept_load(&k, &e) == 0);
	return k;
}

static void
test_a_transition(void)
{
	struct verr e = VERR_INIT;
	struct ha_kept k = { .vrrp = HA_VRRP_MASTER, .base = 60 };
	struct ha_journal j;

	CHECK(journal(10) == 0);
	CHECK_STR(kept().doing, "");
	k.generation = 61;
	CHECK(ha_journal_begin(&j, &k, HA_PROMOTE, "be\"cause\n", &e) == 0);
	/* What a node finds that was killed here. */
	CHECK_STR(kept().doing, "promote");
	CHECK_STR(kept().step, "begin");
	CHECK(kept().generation == 61 && kept().base == 60);
	CHECK(journal(10) == 1);
	CHECK(strstr(last, "\"event\":\"intent\"") != NULL);
	CHECK(strstr(last, "be\\\"cause") != NULL);
	CHECK(ha_journal_step(&j, "promote postgresql", &e) == 0);
	CHECK_STR(kept().step, "promote postgresql");
	k.held = true;
	CHECK(ha_journal_end(&j, NULL, &e) == 0);
	CHECK(kept().held && kept().vrrp == HA_VRRP_MASTER);
	CHECK_STR(kept().doing, "");
	CHECK(journal(10) == 3);
	CHECK(strstr(last, "\"event\":\"done\"") != NULL);
	CHECK(ha_journal_begin(&j, &k, HA_DEMOTE, "why", &e) == 0);
	CHECK(ha_journal_end(&j, "it broke", &e) == 0);
	CHECK(journal(10) == 5);
	CHECK(strstr(last, "\"event\":\"failed\"") != NULL);
	CHECK(strstr(last, "it broke") != NULL);
	CHECK(journal(2) == 2);
}

static void
add_to_journal(const char *text, size_t len)
{
	char path[64];
	FILE *f;

	in_dir(path, sizeof(path), "journal.jsonl");
	f = fopen(path, "a");
	if (CHECK(f != NULL)) {
		fwrite(text, 1, len, f);
		fclose(f);
	}
}

/* The power went while the last line was written. */
static void
test_half_a_line(void)
{
	static const char half[] = "{\"at\":\"20", zeros[4096];
	struct verr e = VERR_INIT;
	struct ha_kept k = { 0 };

	add_to_journal(half, strlen(half));
	CHECK(journal(10) == 5);
	CHECK(strstr(last, "failed") != NULL);
	/* And came back. */
	CHECK(ha_journal_note(&k, "resume", "why", &e) == 0);
	CHECK(journal(10) == 6);
	CHECK(strstr(last, "resume") != NULL);
	add_to_journal(zeros, sizeof(zeros));
	CHECK(ha_journal_note(&k, "unfence", "why", &e) == 0);
	CHECK(journal(10) == 7);
	CHECK(strstr(last, "unfence") != NULL);
}

static void
put(const char *name, const char *text)
{
	struct verr e = VERR_INIT;
	char path[64];

	in_dir(path, sizeof(path), name);
	CHECK(file_replace(path, text, strlen(text), 0600, false, &e) == 0);
}

static void
test_a_damaged_state_is_no_empty_one(void)
{
	static const char *const testv[] = { "", "{", "[]", "[]x", "\xff" };
	struct ha_kept k;

	for (size_t i = 0; i < COUNT(testv); i++) {
		struct verr e = VERR_INIT;

		put("state.json", testv[i]);
		CHECK(ha_kept_load(&k, &e) == -1 && e.kind == VERR_CONFIG);
		CHECK(strstr(e.msg, "is damaged") != NULL);
	}
	put("state.json", "{\"vrrp\":\"ODD\",\"held\":1,\"fenced\":true,"
			  "\"base\":\"x\",\"more\":[]}");
	k = kept();
	CHECK(k.vrrp == HA_VRRP_NONE && !k.held && k.fenced && k.base == 0);
}

/* What is written is read again; what is not understood is left out. */
static void
test_states_travel(void)
{
	struct ha_state a = { .name = "node1",
			      .pg = HA_PG_STANDBY,
			      .streaming = true,
			      .timeline = 7,
			      .lag_bytes = -1,
			      .lsn = "0/3000148",
			      .system_id = "7",
			      .kept = { .fenced = true, .generation = 9 } },
			b;
	struct verr e = VERR_INIT;
	struct buf text = BUF_INIT;

	ha_state_write(&text, &a);
	CHECK(ha_state_read(text.data, &b, &e) == 0);
	CHECK(b.pg == HA_PG_STANDBY && b.streaming && b.timeline == 7 &&
	      b.lag_bytes == -1 && b.kept.fenced && b.kept.generation == 9);
	CHECK_STR(b.lsn, a.lsn);
	CHECK(ha_state_read("{}", &b, &e) == 0);
	/* Whoever says nothing of itself may write. */
	CHECK(b.pg == HA_PG_HUNG);
	CHECK(ha_state_read("[1]", &b, &e) == -1 && e.kind == VERR_INPUT);
	CHECK(ha_state_read("", &b, &e) == -1 && e.kind == VERR_INPUT);
	buf_release(&text);
}

static void
test_what_the_peer_is(void)
{
	static const struct {
		enum ha_pg own, peer;
		int64_t own_tl, own_gen, peer_tl, peer_gen;
		enum ha_peer want;
	} testv[] = {
		{ HA_PG_STANDBY, HA_PG_PRIMARY, 3, 3, 3, 3, HA_PEER_PRIMARY },
		{ HA_PG_STANDBY, HA_PG_STANDBY, 3, 3, 3, 3, HA_PEER_STANDBY },
		{ HA_PG_PRIMARY, HA_PG_PRIMARY, 3, 3, 4, 4, HA_PEER_NEWER },
		{ HA_PG_PRIMARY, HA_PG_PRIMARY, 4, 4, 3, 3, HA_PEER_OLDER },
		/* Ours is stopped, and remembers. */
		{ HA_PG_DOWN_PRIMARY, HA_PG_PRIMARY, 0, 3, 4, 4,
		  HA_PEER_NEWER },
		{ HA_PG_DOWN_PRIMARY, HA_PG_PRIMARY, 0, 4, 3, 3,
		  HA_PEER_OLDER },
		{ HA_PG_DOWN_PRIMARY, HA_PG_PRIMARY, 0, 0, 3, 3,
		  HA_PEER_PRIMARY },
		/* Both lost their power: who was promoted last? */
		{ HA_PG_DOWN_PRIMARY, HA_PG_DOWN_PRIMARY, 0, 3, 0, 4,
		  HA_PEER_AHEAD },
		{ HA_PG_DOWN_PRIMARY, HA_PG_DOWN_PRIMARY, 0, 4, 0, 3,
		  HA_PEER_BEHIND },
		{ HA_PG_DOWN_PRIMARY, HA_PG_DOWN_STANDBY, 0, 0, 0, 1,
		  HA_PEER_AHEAD },
		{ HA_PG_STANDBY, HA_PG_DOWN_PRIMARY, 4, 0, 0, 4, HA_PEER_OFF },
		/* It has the address, and lacks what we have. */
		{ HA_PG_DOWN_STANDBY, HA_PG_STANDBY, 0, 11, 10, 10,
		  HA_PEER_BEHIND },
		{ HA_PG_PRIMARY, HA_PG_STANDBY, 4, 4, 3, 3, HA_PEER_STANDBY },
		/* A promotion of ours that came to nothing. */
		{ HA_PG_STANDBY, HA_PG_PRIMARY, 3, 4, 3, 3, HA_PEER_PRIMARY },
		/* It may wake up. */
		{ HA_PG_STANDBY, HA_PG_HUNG, 3, 3, 0, 3, HA_PEER_PRIMARY },
	};

	for (size_t i = 0; i < COUNT(testv); i++) {
		const struct ha_state own = {
			.pg = testv[i].own,
			.timeline = testv[i].own_tl,
			.kept.generation = testv[i].own_gen,
		};
		const struct ha_state peer = {
			.pg = testv[i].peer,
			.timeline = testv[i].peer_tl,
			.kept.generation = testv[i].peer_gen,
		};

		if (!CHECK(ha_peer_of(&own, &peer) == testv[i].want))
			printf("case %zu\n", i);
	}
}

static void
test_strangers(void)
{
	struct ha_state a = { .system_id = "1" }, b = { .system_id = "2" };

	CHECK(ha_peer_of(&a, &b) == HA_PEER_ASTRAY);
	b.system_id[0] = '1';
	b.pg = HA_PG_STANDBY;
	CHECK(ha_peer_of(&a, &b) == HA_PEER_STANDBY);
	*b.system_id = '\0';
	CHECK(ha_peer_of(&a, &b) == HA_PEER_STANDBY);
}

static void
test_no_place_for_it(void)
{
	struct verr e = VERR_INIT;
	struct ha_kept k = { 0 };
	struct ha_journal j;
	char path[64];

	in_dir(path, sizeof(path), "journal.jsonl");
	unlink(path);
	CHECK(mkdir(path, 0700) == 0);
	CHECK(ha_journal_begin(&j, &k, HA_PROMOTE, "why", &e) == -1);
	CHECK(e.kind == VERR_CONFIG);
	rmdir(path);
}

int
main(void)
{
	struct verr e = VERR_INIT;
	char path[64];

	if (!CHECK(mkdtemp(dir) != NULL))
		return unit_end();
	setenv("VOIP_FAILOVER_STATE_DIR", dir, 1);
	setenv("VOIP_LOG_LEVEL", "error", 1);
	conf_set_file("/dev/null");
	CHECK(conf_load(&e) == 0);
	test_a_transition();
	test_half_a_line();
	test_a_damaged_state_is_no_empty_one();
	test_states_travel();
	test_what_the_peer_is();
	test_strangers();
	test_no_place_for_it();
	in_dir(path, sizeof(path), "state.json");
	unlink(path);
	rmdir(dir);
	return unit_end();
}
