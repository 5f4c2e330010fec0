#include "pairfile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "halineage.h"
#include "jsonmember.h"
#include "verdict.h"

#define PEER_MAX 16384
/* Between two files that say the same. */
#define QUIET_MS INT64_C(1000)

static void
path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", conf_str("health_dir"), name);
}

/* --- keepalived ------------------------------------------------------- */

/* "MASTER", and in a second line whose word it is. */
static enum ha_vrrp
read_vrrp(int64_t *order)
{
	struct verr ignored = VERR_INIT;
	struct buf b = BUF_INIT;
	enum ha_vrrp vrrp = HA_VRRP_NONE;
	char path[4096], *end;

	*order = 0;
	path_of(path, sizeof(path), "vrrp");
	if (file_read(path, 64, &b, &ignored) == 0) {
		end = b.data + strcspn(b.data, "\n");
		if (*end == '\n')
			*order = strtoll(end + 1, NULL, 10);
		*end = '\0';
		vrrp = ha_vrrp_from(b.data);
	}
	buf_release(&b);
	return vrrp;
}

static int
write_vrrp(enum ha_vrrp vrrp, int64_t order, struct verr *e)
{
	struct verr full = VERR_INIT;
	char path[4096], text[64];

	path_of(path, sizeof(path), "vrrp");
	snprintf(text, sizeof(text), "%s\n%" PRId64 "\n", ha_vrrp_word(vrrp),
		 order);
	if (file_replace(path, text, strlen(text), 0644, false, &full) == 0)
		return 0;
	/* No word is better than one that has passed; and that makes room. */
	unlink(path);
	return file_replace(path, text, strlen(text), 0644, false, e);
}

int
pairfile_tell_vrrp(enum ha_vrrp vrrp, struct verr *e)
{
	return write_vrrp(vrrp, 0, e);
}

int
pairfile_tell_vrrp_of(enum ha_vrrp vrrp, int64_t order, struct verr *e)
{
	const char *dir = conf_str("health_dir");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	int64_t before;

	if (fd == -1 || flock(fd, LOCK_EX) == -1) {
		rc = verr_sys(e, VERR_SYSTEM, "cannot lock '%s'", dir);
	} else {
		read_vrrp(&before);
		rc = before > order ? 1 : write_vrrp(vrrp, order, e);
	}
	if (fd != -1)
		close(fd);
	return rc;
}

enum ha_vrrp
pairfile_vrrp(void)
{
	int64_t order;

	return read_vrrp(&order);
}

/* --- the peer --------------------------------------------------------- */

/* What makes a difference to who reads it. */
static bool
says_the_same(const struct ha_state *a, const struct ha_state *b)
{
	return a->pg == b->pg && a->maintenance == b->maintenance &&
	       a->streaming == b->streaming && a->timeline == b->timeline &&
	       a->kept.vrrp == b->kept.vrrp &&
	       strcmp(a->health, b->health) == 0;
}

int
pairfile_tell_peer(const struct ha_state *state, const char *why,
		   struct verr *e)
{
	static struct ha_state last;
	static bool last_answers;
	static int64_t last_ms = -QUIET_MS;
	struct buf b = BUF_INIT, text = BUF_INIT;
	char path[4096];
	int rc;

	if (last_answers == (state != NULL) &&
	    verdict_now_ms() - last_ms < QUIET_MS &&
	    (!state || says_the_same(state, &last)))
		return 0;
	last_ms = verdict_now_ms();
	last_answers = state != NULL;
	if (state) {
		last = *state;
		ha_state_write(&text, state);
	}
	buf_printf(&b, "{\"at\":%" PRId64, last_ms);
	jsonmember_add_truth(&b, "answers", state != NULL);
	jsonmember_add_string(&b, "why", why);
	buf_printf(&b, ",\"state\":%s}\n", state ? text.data : "null");
	path_of(path, sizeof(path), "peer.json");
	rc = buf_failed(&b) || buf_failed(&text)
		     ? verr_set(e, VERR_RETRY, "out of memory")
		     : file_replace(path, b.data, b.len, 0644, false, e);
	buf_release(&b);
	buf_release(&text);
	return rc;
}

static void
take_state(struct pairfile_peer *peer, const json_t *state)
{
	char *text = json_dumps(state, JSON_COMPACT);
	struct verr ignored = VERR_INIT;

	peer->answers =
		text && ha_state_read(text, &peer->state, &ignored) == 0;
	free(text);
}

void
pairfile_peer(struct pairfile_peer *peer)
{
	struct verr ignored = VERR_INIT;
	struct buf b = BUF_INIT;
	json_t *object = NULL;
	char path[4096];
	int64_t age;

	memset(peer, 0, sizeof(*peer));
	path_of(path, sizeof(path), "peer.json");
	if (file_read(path, PEER_MAX, &b, &ignored) == 0)
		object = json_loads(b.data, 0, NULL);
	buf_release(&b);
	peer->at_ms = json_integer_value(json_object_get(object, "at"));
	age = verdict_now_ms() - peer->at_ms;
	peer->known = object && age >= 0 && age <= PAIRFILE_VALID_MS;
	jsonmember_take_string(peer->why, sizeof(peer->why), object, "why");
	if (json_is_true(json_object_get(object, "answers")))
		take_state(peer, json_object_get(object, "state"));
	json_decref(object);
}

/*
 * What it has replayed, against what was written here: whether it is connected
 * tells nothing, since no stream outlives the primary.
 */
static bool
is_far_behind(const struct ha_state *s, const char *lsn)
{
	uint64_t ours, theirs;

	return strcmp(conf_str("failover_policy"), "availability") != 0 &&
	       s->pg == HA_PG_STANDBY && ha_lsn_read(lsn, &ours) &&
	       ha_lsn_read(s->lsn, &theirs) && ours > theirs &&
	       ours - theirs > (uint64_t)conf_bytes("health_lag_bytes");
}

bool
pairfile_is_worse(const struct pairfile_peer *peer, bool primary,
		  const char *lsn, const char **why)
{
	const struct ha_state *s = &peer->state;
	const struct {
		bool is;
		const char *why;
	} reasons[] = {
		{ !peer->answers, "the peer does not answer" },
		{ peer->answers && s->pg != HA_PG_PRIMARY &&
			  s->pg != HA_PG_STANDBY,
		  "the peer's PostgreSQL does not answer" },
		/* A standby that runs is promoted with the address, whatever
		 * it was stopped as. */
		{ s->kept.fenced && s->pg != HA_PG_STANDBY,
		  "the peer is fenced" },
		{ s->maintenance, "the peer is in maintenance" },
		{ s->kept.vrrp == HA_VRRP_FAULT || s->kept.vrrp == HA_VRRP_STOP,
		  "the peer's keepalived would not take the address" },
		{ primary && s->pg == HA_PG_STANDBY && !s->streaming,
		  "the peer does not stream" },
		{ peer->answers && is_far_behind(s, lsn),
		  "the peer lacks more than health_lag_bytes of what was "
		  "written here" },
		{ strcmp(s->health, "unfit") == 0 ||
			  strcmp(s->health, "held") == 0,
		  "the peer is unfit as well" },
		{ strcmp(s->health, "unknown") == 0,
		  "the peer has no verdict" },
	};

	for (size_t i = 0;
	     peer->known && i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].is) {
			*why = reasons[i].why;
			return true;
		}
	return false;
}
