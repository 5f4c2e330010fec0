#include "hastate.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "hanode.h"
#include "utf8.h"
#include "verdict.h"

#define STATE_MAX 16384

/* clang-format off */
static const char *const vrrp_words[HA_VRRPS] = {
	"NONE", "MASTER", "BACKUP", "FAULT", "STOP",
};

static const struct {
	enum ha_pg pg;
	const char *word;
} roles[] = {
	{ HA_PG_PRIMARY, "primary" },
	{ HA_PG_STANDBY, "standby" },
	{ HA_PG_HUNG, "hung" },
	{ HA_PG_DOWN_STANDBY, "stopped standby" },
	{ HA_PG_DOWN_PRIMARY, "stopped primary" },
};

/* --- the schema ------------------------------------------------------- */

enum kind { TEXT, NUMBER, TRUTH, VRRP, ROLE };

#define MEMBER(kind, struct_, m) \
	{ #m, kind, offsetof(struct struct_, m), \
	  sizeof(((struct struct_ *)0)->m) }

static const struct member {
	const char *name;
	enum kind kind;
	size_t offset;
	size_t size;
} state_members[] = {
	MEMBER(TEXT, ha_state, name),
	MEMBER(ROLE, ha_state, pg),
	MEMBER(TRUTH, ha_state, writable),
	MEMBER(TRUTH, ha_state, streaming),
	MEMBER(TRUTH, ha_state, paused),
	MEMBER(NUMBER, ha_state, timeline),
	MEMBER(NUMBER, ha_state, lag_bytes),
	MEMBER(TEXT, ha_state, lsn),
	MEMBER(TEXT, ha_state, system_id),
	MEMBER(TEXT, ha_state, upstream),
	MEMBER(TEXT, ha_state, sync_standbys),
	MEMBER(TRUTH, ha_state, marked),
	MEMBER(TRUTH, ha_state, starting),
	MEMBER(TRUTH, ha_state, maintenance),
	MEMBER(TEXT, ha_state, health),
	MEMBER(TEXT, ha_state, why),
	{ .name = NULL },
}, kept_members[] = {
	MEMBER(VRRP, ha_kept, vrrp),
	MEMBER(TRUTH, ha_kept, held),
	MEMBER(TRUTH, ha_kept, wanted),
	MEMBER(TRUTH, ha_kept, fenced),
	MEMBER(TRUTH, ha_kept, trusted),
	MEMBER(NUMBER, ha_kept, base),
	MEMBER(NUMBER, ha_kept, generation),
	MEMBER(TEXT, ha_kept, doing),
	MEMBER(TEXT, ha_kept, step),
	MEMBER(TEXT, ha_kept, id),
	MEMBER(TEXT, ha_kept, refused),
	MEMBER(TEXT, ha_kept, torn),
	{ .name = NULL },
};
/* clang-format on */

const char *
ha_vrrp_word(enum ha_vrrp v)
{
	return vrrp_words[v];
}

enum ha_vrrp
ha_vrrp_from(const char *word)
{
	for (int v = 0; v < HA_VRRPS; v++)
		if (strcmp(word, vrrp_words[v]) == 0)
			return (enum ha_vrrp)v;
	return HA_VRRP_NONE;
}

const char *
ha_role_word(enum ha_pg pg)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (roles[i].pg == pg)
			return roles[i].word;
	return "unknown";
}

const char *
ha_state_role(const struct ha_state *s)
{
	return s->pg == HA_PG_HUNG && s->starting ? "starting"
						  : ha_role_word(s->pg);
}

static enum ha_pg
role_from(const char *word)
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].word, word) == 0)
			return roles[i].pg;
	return HA_PG_HUNG;
}

static json_t *
pack_member(const struct member *m, const void *base)
{
	const char *at = (const char *)base + m->offset;
	enum ha_vrrp vrrp;
	int64_t number;
	enum ha_pg pg;

	switch (m->kind) {
	case NUMBER:
		memcpy(&number, at, sizeof(number));
		return json_integer(number);
	case TRUTH:
		return json_boolean(*(const bool *)at);
	case VRRP:
		memcpy(&vrrp, at, sizeof(vrrp));
		return json_string(ha_vrrp_word(vrrp));
	case ROLE:
		memcpy(&pg, at, sizeof(pg));
		return json_string(ha_role_word(pg));
	case TEXT:
		return json_string(at);
	}
	return NULL;
}

static void
unpack_member(const struct member *m, const json_t *value, void *base)
{
	char *at = (char *)base + m->offset;
	const char *text = json_string_value(value);
	enum ha_vrrp vrrp;
	int64_t number;
	enum ha_pg pg;

	switch (m->kind) {
	case NUMBER:
		number = json_integer_value(value);
		memcpy(at, &number, sizeof(number));
		break;
	case TRUTH:
		*(bool *)at = json_is_true(value);
		break;
	case VRRP:
		vrrp = ha_vrrp_from(text ? text : "");
		memcpy(at, &vrrp, sizeof(vrrp));
		break;
	case ROLE:
		pg = role_from(text ? text : "");
		memcpy(at, &pg, sizeof(pg));
		break;
	case TEXT:
		snprintf(at, m->size, "%s", text ? text : "");
		break;
	}
}

static json_t *
pack(const struct member *members, const void *base)
{
	json_t *object = json_object();

	for (const struct member *m = members; m->name; m++)
		json_object_set_new(object, m->name, pack_member(m, base));
	return object;
}

static void
unpack(const struct member *members, const json_t *object, void *base)
{
	for (const struct member *m = members; m->name; m++)
		unpack_member(m, json_object_get(object, m->name), base);
}

static void
dump(struct buf *b, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	if (text)
		buf_puts(b, text);
	else
		b->failed = true;
	free(text);
	json_decref(object);
}

void
ha_state_write(struct buf *b, const struct ha_state *s)
{
	json_t *object = pack(state_members, s);

	json_object_set_new(object, "kept", pack(kept_members, &s->kept));
	dump(b, object);
}

int
ha_state_read(const char *json, struct ha_state *s, struct verr *e)
{
	json_error_t why;
	json_t *object = json_loads(json, 0, &why);

	memset(s, 0, sizeof(*s));
	if (!json_is_object(object)) {
		json_decref(object);
		return verr_set(e, VERR_INPUT, "no state of a node: %s",
				why.text);
	}
	unpack(state_members, object, s);
	unpack(kept_members, json_object_get(object, "kept"), &s->kept);
	json_decref(object);
	return 0;
}

/* --- what must survive ------------------------------------------------ */

int
ha_kept_load(struct ha_kept *k, struct verr *e)
{
	struct buf path = BUF_INIT, text = BUF_INIT;
	struct verr why = VERR_INIT;
	json_t *object = NULL;
	json_error_t where;
	int rc = 0;

	memset(k, 0, sizeof(*k));
	buf_printf(&path, "%s/state.json", conf_str("failover_state_dir"));
	if (buf_failed(&path)) {
		rc = verr_set(e, VERR_RETRY, "out of memory");
	} else if (file_read(path.data, STATE_MAX, &text, &why) == -1) {
		if (why.kind != VERR_NOTFOUND) {
			*e = why;
			rc = verr_add(e,
				      "\nhint: all in '%s' belongs to the "
				      "user whom voip-failover runs as",
				      conf_str("failover_state_dir"));
		}
	} else {
		object = json_loads(text.data, 0, &where);
		if (json_is_object(object))
			unpack(kept_members, object, k);
		else
			rc = verr_set(e, VERR_CONFIG,
				      "'%s' is damaged: %s\n"
				      "hint: 'voip-failover status' on both "
				      "nodes, then remove it",
				      path.data, where.text);
	}
	json_decref(object);
	buf_release(&path);
	buf_release(&text);
	return rc;
}

int
ha_kept_save(const struct ha_kept *k, struct verr *e)
{
	struct buf path = BUF_INIT, text = BUF_INIT;
	int rc;

	buf_printf(&path, "%s/state.json", conf_str("failover_state_dir"));
	dump(&text, pack(kept_members, k));
	buf_putc(&text, '\n');
	rc = buf_failed(&path) || buf_failed(&text)
		     ? verr_set(e, VERR_RETRY, "out of memory")
		     : file_replace(path.data, text.data, text.len, 0640, true,
				    e);
	buf_release(&path);
	buf_release(&text);
	return rc;
}

/* --- looking ---------------------------------------------------------- */

static void
take_node(struct ha_state *s, const struct pgnode *node)
{
	s->pg = node->primary ? HA_PG_PRIMARY : HA_PG_STANDBY;
	s->writable = node->primary && node->writable;
	s->streaming = node->streaming;
	s->paused = node->replay_paused;
	s->timeline = node->timeline;
	s->lag_bytes = node->lag_bytes;
	snprintf(s->lsn, sizeof(s->lsn), "%s", node->lsn);
	snprintf(s->system_id, sizeof(s->system_id), "%s", node->system_id);
	snprintf(s->upstream, sizeof(s->upstream), "%s", node->upstream);
	snprintf(s->sync_standbys, sizeof(s->sync_standbys), "%s",
		 node->sync_standbys);
}

static void
look_at_verdict(struct ha_state *s)
{
	struct verr ignored = VERR_INIT;
	struct verdict v;
	bool known = verdict_read(&v, &ignored) == 0;

	snprintf(s->health, sizeof(s->health), "%s",
		 !known   ? "unknown"
		 : !v.fit ? "unfit"
		 : v.held ? "held"
			  : "fit");
}

int
ha_state_look(struct ha_state *s, int64_t timeout_ms, struct verr *e)
{
	struct pgnode_postmaster postmaster;
	struct verr why = VERR_INIT;
	struct pgnode node;
	struct db *db;

	ha_node_name(s->name, sizeof(s->name));
	s->lag_bytes = -1;
	look_at_verdict(s);
	db = ha_node_connection(timeout_ms, e);
	if (!db)
		return -1;
	if (pgnode_look(db, &node, &why) == 0) {
		take_node(s, &node);
		db_free(db);
		return 0;
	}
	/* "the database system is starting up", or is not consistent yet */
	s->starting = strcmp(db_sqlstate(db), "57P03") == 0;
	db_free(db);
	snprintf(s->why, sizeof(s->why), "%.*s", (int)strcspn(why.msg, "\n"),
		 why.msg);
	utf8_trim(s->why);
	if (pgnode_postmaster(conf_str("postgresql_data_directory"),
			      &postmaster, e) == -1)
		return -1;
	s->marked = postmaster.standby;
	/* One that is being salvaged from is as good as stopped. */
	if (postmaster.pid && !postmaster.alone)
		s->pg = HA_PG_HUNG;
	else
		s->pg = postmaster.standby ? HA_PG_DOWN_STANDBY
					   : HA_PG_DOWN_PRIMARY;
	return 0;
}

/* The highest timeline that a node is known to have been on. */
static int64_t
latest(const struct ha_state *s)
{
	return s->timeline > s->kept.generation ? s->timeline
						: s->kept.generation;
}

static bool
is_coming_back(const struct ha_kept *k)
{
	return k->fenced && strcmp(k->doing, ha_action_word(HA_REJOIN)) == 0;
}

enum ha_peer
ha_peer_of(const struct ha_state *own, const struct ha_state *peer)
{
	/* What we are on, when we run: a promotion that failed counts not. */
	int64_t ours = own->timeline ? own->timeline : own->kept.generation;

	if (*own->system_id && *peer->system_id &&
	    strcmp(own->system_id, peer->system_id) != 0)
		return HA_PEER_ASTRAY;
	switch (peer->pg) {
	case HA_PG_PRIMARY:
		if (!ours || peer->timeline == ours)
			return HA_PEER_PRIMARY;
		return peer->timeline > ours ? HA_PEER_NEWER : HA_PEER_OLDER;
	case HA_PG_HUNG:
		/* It may wake up, and write; but not a standby that waits for
		 * WAL before it answers, nor one that is made into one. */
		if (!peer->marked && !is_coming_back(&peer->kept))
			return HA_PEER_PRIMARY;
		break;
	case HA_PG_STANDBY:
	case HA_PG_STRAY:
	case HA_PG_DOWN_STANDBY:
	case HA_PG_DOWN_PRIMARY:
		break;
	}
	if (latest(peer) > latest(own))
		return HA_PEER_AHEAD;
	/* One that waits for what only we have, stopped as we are. */
	if (peer->pg == HA_PG_STANDBY &&
	    (!(own->pg & (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)) ||
	     latest(peer) >= latest(own)))
		return HA_PEER_STANDBY;
	return latest(peer) < latest(own) ? HA_PEER_BEHIND : HA_PEER_OFF;
}
