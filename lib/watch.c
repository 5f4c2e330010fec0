#include "watch.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "conf.h"
#include "db.h"
#include "feed.h"
#include "log.h"
#include "loop.h"
#include "service.h"

/*
 * A primary that was fenced by a setting, or a pooler that lent us a server
 * for one transaction, keeps the connection and yet tells us nothing.
 */
static const char probe_sql[] =
	"select pg_catalog.current_setting('transaction_read_only') = 'on',"
	" exists (select from pg_catalog.pg_listening_channels() as c"
	" where c = 'voip_changed')";

struct watch {
	const struct watch_options *o;
	struct loop *loop;
	struct db *db;
	struct feed feed;
	int signal_fd;
	struct loop_timer probe;
	struct loop_timer deadline;
	int64_t give_up_ms; /* until the first connection */
	bool was_up;        /* there was a connection */
	bool told;          /* why there is none was logged */
	bool resync_waits;  /* the last line that waits is a resync */
	long count;         /* changes printed */
	struct buf line;
	bool ended;    /* nothing more is written */
	bool complete; /* all was said, it only has to be written */
	struct verr error;
};

static void
fail(struct watch *w, const struct verr *e)
{
	if (w->error.kind == VERR_NONE)
		w->error = *e;
	w->ended = true;
}

/* --- lines ------------------------------------------------------------ */

static void
no_memory(struct watch *w)
{
	struct verr e = VERR_INIT;

	verr_set(&e, VERR_RETRY, "out of memory");
	fail(w, &e);
}

static bool
add_line(struct watch *w, const struct change *c)
{
	buf_clear(&w->line);
	change_print(&w->line, w->o->format, c);
	return !buf_failed(&w->line) &&
	       feed_add(&w->feed, w->line.data, w->line.len);
}

static void
resync(struct watch *w)
{
	const struct change c = { .op = CHANGE_RESYNC };

	/* One that was not read yet speaks for this one too. */
	if (w->resync_waits && !feed_is_empty(&w->feed))
		return;
	if (!add_line(w, &c)) {
		feed_forget(&w->feed);
		if (!add_line(w, &c))
			no_memory(w);
	}
	w->resync_waits = true;
}

static bool
is_wanted(const struct watch *w, const struct change *c)
{
	const char *const *name = w->o->entities;

	if (w->o->domain && strcmp(w->o->domain, c->domain) != 0)
		return false;
	if (!name || !*name)
		return true;
	for (; *name; name++)
		if (c->entity && strcmp(c->entity->name, *name) == 0)
			return true;
	return false;
}

static void
on_notify(const char *channel, const char *payload, void *arg)
{
	struct watch *w = arg;
	struct verr e = VERR_INIT;
	struct change c;

	(void)channel;
	if (w->complete || w->ended)
		return;
	if (change_from_payload(&c, payload, strlen(payload), &e) == -1) {
		log_warning("a notification is not understood: %s", e.msg);
		resync(w);
		return;
	}
	if (!is_wanted(w, &c))
		return;
	if (add_line(w, &c)) {
		w->resync_waits = false;
	} else {
		log_warning("the reader is too slow: it is told to read "
			    "everything anew");
		feed_forget(&w->feed);
		resync(w);
	}
	w->count++;
	w->complete = w->o->count && w->count >= w->o->count;
}

static void
on_reader_gone(const struct verr *e, void *arg)
{
	fail(arg, e);
}

/* --- the connection --------------------------------------------------- */

static void
on_state(bool up, void *arg)
{
	struct watch *w = arg;

	if (!up) {
		log_warning("the database connection is lost: what changes "
			    "meanwhile is missed");
		return;
	}
	if (w->was_up)
		log_info("the database is back");
	else
		service_notify("READY=1");
	w->was_up = true;
	w->told = false;
	resync(w);
}

static void
on_failed_probe(struct watch *w, const struct verr *e)
{
	if (!w->was_up &&
	    (e->kind != VERR_RETRY || loop_now_ms() >= w->give_up_ms)) {
		fail(w, e);
	} else if (!db_is_up(w->db) && !w->told) {
		log_warning("waiting for the database: %s", e->msg);
		w->told = true;
	}
}

static void
check_server(struct watch *w, const struct db_result *r)
{
	struct verr e = VERR_INIT;

	if (db_is_true(r, 0, 0)) {
		log_warning("the server is read-only now: looking for the "
			    "primary");
		db_reload(w->db);
	} else if (!db_is_true(r, 0, 1)) {
		verr_set(&e, VERR_CONFIG,
			 "the connection does not keep what it listens to\n"
			 "hint: setting 'database' must lead to PostgreSQL "
			 "itself, or to a pooler in session mode");
		fail(w, &e);
	}
}

static void
on_probed(struct db_result *r, const struct verr *e, void *arg)
{
	struct watch *w = arg;

	if (w->ended)
		return;
	if (r)
		check_server(w, r);
	else
		on_failed_probe(w, e);
	loop_timer_set(w->loop, &w->probe,
		       w->was_up ? conf_ms("watch_probe")
				 : conf_ms("database_backoff"));
}

static void
probe(void *arg)
{
	struct watch *w = arg;

	db_send(w->db, probe_sql, 0, NULL, 0, on_probed, w);
}

/* --- running ---------------------------------------------------------- */

static void
on_deadline(void *arg)
{
	struct watch *w = arg;
	struct verr e = VERR_INIT;

	if (w->o->count)
		verr_set(&e, VERR_NOTFOUND, "%ld of %ld changes came in time",
			 w->count, w->o->count);
	fail(w, &e);
}

static void
on_signal(int fd, unsigned events, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)events;
	w->ended = true;
}

static int
start(struct watch *w, struct verr *e)
{
	const struct db_options options = {
		.role = "voip_watch",
		.session_attrs = "read-write",
	};

	w->loop = loop_new(e);
	if (!w->loop)
		return -1;
	w->signal_fd = service_stop_signals(e);
	if (w->signal_fd == -1 ||
	    loop_add_fd(w->loop, w->signal_fd, EPOLLIN, on_signal, w, e) ==
		    -1 ||
	    feed_init(&w->feed, w->loop, w->o->fd, WATCH_BACKLOG,
		      on_reader_gone, w, e) == -1)
		return -1;
	w->db = db_new(&options, e);
	if (!w->db)
		return -1;
	change_head(&w->line, w->o->format);
	if (buf_failed(&w->line) ||
	    (w->line.len && !feed_add(&w->feed, w->line.data, w->line.len)))
		return verr_set(e, VERR_RETRY, "out of memory");
	w->give_up_ms = loop_now_ms() + conf_ms("database_wait");
	w->probe = (struct loop_timer){ .fn = probe, .arg = w };
	w->deadline = (struct loop_timer){ .fn = on_deadline, .arg = w };
	if (w->o->timeout_ms)
		loop_timer_set(w->loop, &w->deadline, w->o->timeout_ms);
	db_attach(w->db, w->loop);
	db_on_state(w->db, on_state, w);
	db_listen(w->db, "voip_changed", on_notify, w);
	probe(w);
	return 0;
}

/* Closing the connection ends the requests, so it comes first. */
static void
stop(struct watch *w)
{
	w->ended = true;
	if (w->db)
		db_on_state(w->db, NULL, NULL);
	db_free(w->db);
	if (w->loop) {
		loop_timer_clear(w->loop, &w->probe);
		loop_timer_clear(w->loop, &w->deadline);
		feed_release(&w->feed);
		if (w->signal_fd != -1)
			loop_remove_fd(w->loop, w->signal_fd);
	}
	if (w->signal_fd != -1)
		close(w->signal_fd);
	loop_free(w->loop);
	buf_release(&w->line);
}

int
watch_run(const struct watch_options *o, struct verr *e)
{
	struct watch w = { .o = o, .signal_fd = -1, .line = BUF_INIT };
	int rc = start(&w, e);

	while (rc == 0 && !w.ended && !(w.complete && feed_is_empty(&w.feed)))
		rc = loop_turn(w.loop, -1, e);
	stop(&w);
	if (rc == 0 && w.error.kind != VERR_NONE) {
		*e = w.error;
		rc = -1;
	}
	return rc;
}
