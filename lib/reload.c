#include "reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "conf.h"
#include "db.h"
#include "log.h"
#include "loop.h"
#include "reloadfreeswitch.h"
#include "reloadkamailio.h"
#include "reloadplan.h"
#include "reloadtask.h"
#include "service.h"

#define LOOKUPS_MAX 512
#define LOOKUP_MS   2000

const struct out_column reload_columns[2] = { { "peer", OUT_TEXT },
					      { "command", OUT_TEXT } };

struct reload {
	const struct reload_options *o;
	struct loop *loop;
	struct db *db;
	struct reload_kamailio kamailio;
	struct reload_freeswitch freeswitch;
	struct reload_peer *peers[RELOAD_PEERS]; /* NULL: not configured */
	size_t lookups;                          /* without an answer */
	bool told_unknown; /* since the database last answered */

	int fd; /* of the lines, -1 when they have ended */
	struct buf in;
	bool skipping; /* the rest of a line that is too long */
	unsigned long line, bad;
	struct loop_timer reading; /* of a file that epoll does not take */
	struct loop_timer deadline;
	struct verr failed; /* why it ended too early */
};

/* --- commands --------------------------------------------------------- */

static void
print(struct reload *r, enum reload_to to, const char *command)
{
	const char *const *questions = reload_task_questions(command);
	const char *values[2] = { reload_to_name(to), command };

	if (!questions) {
		out_row(r->o->print, values);
		return;
	}
	for (; *questions; questions++) {
		values[1] = *questions;
		out_row(r->o->print, values);
	}
}

static void
put(enum reload_to to, const char *command, void *arg)
{
	struct reload *r = arg;
	const bool chosen[] = { [RELOAD_KAMAILIO] = r->o->kamailio,
				[RELOAD_FREESWITCH] = r->o->freeswitch };

	if (r->o->print && chosen[to])
		print(r, to, command);
	else if (r->peers[to])
		reload_peer_put(r->peers[to], command);
}

static void
check_end(void *arg)
{
	struct reload *r = arg;

	if (r->fd != -1 || r->lookups > 0)
		return;
	for (size_t i = 0; i < RELOAD_PEERS; i++)
		if (r->peers[i] && !reload_peer_is_idle(r->peers[i]))
			return;
	loop_stop(r->loop);
}

struct lookup {
	struct reload *r;
	char domain[256];
};

static void
take_found(struct db_result *rows, const struct verr *e, void *arg)
{
	struct lookup *l = arg;
	struct reload *r = l->r;

	r->lookups--;
	if (!rows || (e && e->kind != VERR_NONE)) {
		if (!r->told_unknown)
			log_event(LOG_LEVEL_WARNING, "forgetting all", "error",
				  e->msg, NULL);
		r->told_unknown = true;
		reload_plan_unknown(put, r);
	} else {
		r->told_unknown = false;
		for (int i = 0; i < db_rows(rows); i++)
			reload_plan_found(l->domain, db_value(rows, i, 0),
					  db_value(rows, i, 1), put, r);
	}
	free(l);
	check_end(r);
}

static void
look_up(struct reload *r, const struct change *c, const char *sql)
{
	struct lookup *l = r->lookups < LOOKUPS_MAX ? malloc(sizeof(*l)) : NULL;

	if (!l) {
		reload_plan_unknown(put, r);
		return;
	}
	l->r = r;
	memcpy(l->domain, c->domain, sizeof(l->domain));
	r->lookups++;
	db_send(r->db, sql, 2,
		(struct db_param[]){ DB_TEXT(c->domain), DB_TEXT(c->name) },
		LOOKUP_MS, take_found, l);
}

/* A resync that is still to come reads everything: no row matters then. */
static bool
all_resync(const struct reload *r)
{
	bool all = !r->o->print;

	for (size_t i = 0; i < RELOAD_PEERS; i++)
		all = all && (!r->peers[i] || r->peers[i]->wants_resync);
	return all;
}

static int
take_change(struct reload *r, const struct change *c, struct verr *e)
{
	const char *lookup;

	if (reload_plan(c, &lookup, put, r, e) == -1)
		return -1;
	if (lookup && !all_resync(r))
		look_up(r, c, lookup);
	return 0;
}

/* --- lines ------------------------------------------------------------ */

static void
take_line(struct reload *r, const char *line, size_t len)
{
	struct verr e = VERR_INIT;
	struct change c;
	int rc;

	r->line++;
	rc = change_from_line(&c, line, len, &e);
	if (rc == 1)
		rc = take_change(r, &c, &e);
	if (rc == -1) {
		r->bad++;
		log_warning("line %lu: %s", r->line, e.msg);
	}
}

static void
take_lines(struct reload *r)
{
	char *start = r->in.data, *end;
	size_t left = r->in.len;

	while ((end = memchr(start, '\n', left))) {
		if (!r->skipping)
			take_line(r, start, (size_t)(end - start));
		r->skipping = false;
		left -= (size_t)(end + 1 - start);
		start = end + 1;
	}
	buf_skip(&r->in, r->in.len - left);
	if (left > CHANGE_LINE_MAX) {
		if (!r->skipping)
			take_line(r, r->in.data, left);
		r->skipping = true;
		buf_clear(&r->in);
	}
}

static void
end_lines(struct reload *r)
{
	loop_remove_fd(r->loop, r->fd);
	r->fd = -1;
	if (r->in.len > 0 && !r->skipping)
		take_line(r, r->in.data, r->in.len);
	loop_timer_set(r->loop, &r->deadline, r->o->wait_ms);
	check_end(r);
}

static void
read_lines(struct reload *r)
{
	char data[65536];
	ssize_t n = read(r->fd, data, sizeof(data));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n == -1)
			verr_sys(&r->failed, VERR_SYSTEM,
				 "cannot read the changes");
		end_lines(r);
		return;
	}
	buf_add(&r->in, data, (size_t)n);
	if (buf_failed(&r->in)) {
		verr_set(&r->failed, VERR_RETRY, "out of memory");
		loop_stop(r->loop);
		return;
	}
	take_lines(r);
}

static void
on_input(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	read_lines(arg);
}

static void
on_file(void *arg)
{
	struct reload *r = arg;

	read_lines(r);
	if (r->fd != -1)
		loop_timer_set(r->loop, &r->reading, 0);
}

/* --- start and end ---------------------------------------------------- */

/* Which of the peers has not got everything, and why. */
static void
on_deadline(void *arg)
{
	struct reload *r = arg;

	verr_set(&r->failed, VERR_RETRY, "the database does not answer");
	for (size_t i = 0; i < RELOAD_PEERS; i++) {
		const struct reload_peer *p = r->peers[i];

		if (p && !reload_peer_is_idle(p)) {
			verr_set(&r->failed, VERR_RETRY,
				 "%s has not got everything: %s", p->name,
				 p->is_away ? p->why.msg
					    : "it takes more time");
			break;
		}
	}
	loop_stop(r->loop);
}

static int
start_peers(struct reload *r, struct verr *e)
{
	if (r->o->print)
		return 0;
	if (r->o->kamailio && *conf_str("kamailio_rpc")) {
		if (reload_kamailio_init(&r->kamailio, r->loop, e) == -1)
			return -1;
		r->peers[RELOAD_KAMAILIO] = &r->kamailio.peer;
	}
	if (r->o->freeswitch && *conf_str("freeswitch_event_socket")) {
		if (reload_freeswitch_init(&r->freeswitch, r->loop, r->db, e) ==
		    -1)
			return -1;
		r->peers[RELOAD_FREESWITCH] = &r->freeswitch.peer;
	}
	for (size_t i = 0; i < RELOAD_PEERS; i++) {
		if (!r->peers[i])
			continue;
		r->peers[i]->idle = check_end;
		r->peers[i]->arg = r;
	}
	if (r->peers[RELOAD_KAMAILIO] || r->peers[RELOAD_FREESWITCH])
		return 0;
	return verr_set(e, VERR_CONFIG,
			"no peer is configured\n"
			"hint: kamailio_rpc, freeswitch_event_socket");
}

static int
start(struct reload *r, const struct reload_options *o, struct verr *e)
{
	/* A standby may not have the change yet that we are told of. */
	static const struct db_options options = {
		.role = "voip_reload",
		.session_attrs = "read-write",
	};

	*r = (struct reload){ .o = o, .fd = -1, .in = BUF_INIT };
	r->deadline = (struct loop_timer){ .fn = on_deadline, .arg = r };
	r->reading = (struct loop_timer){ .fn = on_file, .arg = r };
	r->loop = loop_new(e);
	if (!r->loop)
		return -1;
	r->db = db_new(&options, e);
	if (!r->db)
		return -1;
	db_attach(r->db, r->loop);
	return start_peers(r, e);
}

static void
release(struct reload *r)
{
	db_free(r->db);
	reload_freeswitch_release(&r->freeswitch);
	reload_kamailio_release(&r->kamailio);
	buf_release(&r->in);
	loop_free(r->loop);
}

static int
run(struct reload *r, struct verr *e)
{
	service_notify("READY=1");
	if (loop_run(r->loop, e) == -1)
		return -1;
	if (r->failed.kind != VERR_NONE) {
		*e = r->failed;
		return -1;
	}
	if (r->bad > 0)
		return verr_set(e, VERR_INPUT,
				"%lu of %lu lines are no changes", r->bad,
				r->line);
	return 0;
}

int
reload_changes(const struct reload_options *o, const struct change *changes,
	       size_t n, struct verr *e)
{
	struct reload r;
	int rc = start(&r, o, e);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = take_change(&r, &changes[i], e);
	if (rc == 0) {
		struct loop_timer now = { .fn = check_end, .arg = &r };

		loop_timer_set(r.loop, &r.deadline, o->wait_ms);
		loop_timer_set(r.loop, &now, 0);
		rc = run(&r, e);
		loop_timer_clear(r.loop, &now);
	}
	release(&r);
	return rc;
}

int
reload_lines(const struct reload_options *o, int fd, struct verr *e)
{
	struct reload r;
	struct verr not_watched = VERR_INIT;
	int rc = start(&r, o, e);

	if (rc == 0) {
		r.fd = fd;
		if (loop_add_fd(r.loop, fd, EPOLLIN, on_input, &r,
				&not_watched) == -1)
			loop_timer_set(r.loop, &r.reading, 0);
		rc = run(&r, e);
	}
	release(&r);
	return rc;
}
