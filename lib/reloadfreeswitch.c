#include "reloadfreeswitch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "reloadplan.h"
#include "reloadtask.h"

static struct reload_freeswitch *
of(struct reload_peer *p)
{
	return (struct reload_freeswitch *)p;
}

static void
take_answer(const char *answer, size_t len, const struct verr *e, void *arg)
{
	struct reload_freeswitch *f = arg;
	bool refused = false;

	(void)len;
	if (!answer) {
		reload_peer_done(&f->peer, RELOAD_AWAY, 0, e);
		return;
	}
	if (strstr(reload_peer_asked(&f->peer), " killgw "))
		f->killed_ms = loop_now_ms();
	else if (*answer == '-' && !strstr(answer, "already exist"))
		refused = true;
	if (refused)
		reload_peer_refused(&f->peer, answer);
	else
		reload_peer_done(&f->peer, RELOAD_DONE, 0, NULL);
}

static bool
is_rescan(const char *command)
{
	size_t len = strlen(command);

	return len > 7 && strcmp(command + len - 7, " rescan") == 0;
}

static void
send_command(struct reload_peer *p, const char *command)
{
	struct reload_freeswitch *f = of(p);
	int64_t due = f->killed_ms + f->wait_ms, now = loop_now_ms();
	struct verr e = VERR_INIT;

	if (*command == '@') {
		reload_task_begin(f);
	} else if (f->killed_ms && is_rescan(command) && now < due) {
		reload_peer_done(p, RELOAD_LATER, due - now, NULL);
	} else if (esl_api(f->esl, command, take_answer, f, &e) == -1) {
		reload_peer_done(
			p, e.kind == VERR_INPUT ? RELOAD_REFUSED : RELOAD_AWAY,
			0, &e);
	}
}

static void
put_planned(enum reload_to to, const char *command, void *arg)
{
	struct reload_freeswitch *f = arg;

	(void)to;
	reload_peer_put(&f->peer, command);
}

static void
resync(struct reload_peer *p)
{
	reload_plan_resync(RELOAD_FREESWITCH, put_planned, of(p));
}

static bool
is_up(struct reload_peer *p)
{
	return esl_is_up(of(p)->esl);
}

static void
on_state(bool up, const struct verr *e, void *arg)
{
	struct reload_freeswitch *f = arg;

	reload_peer_state(&f->peer, up ? NULL : e);
}

int
reload_freeswitch_init(struct reload_freeswitch *f, struct loop *l,
		       struct db *db, struct verr *e)
{
	const char *password = conf_str("freeswitch_password");

	f->peer.name = reload_to_name(RELOAD_FREESWITCH);
	f->peer.loop = l;
	f->peer.send = send_command;
	f->peer.resync = resync;
	f->peer.is_up = is_up;
	reload_peer_init(&f->peer);
	f->db = db;
	f->wait_ms = conf_ms("freeswitch_gateway_wait");
	f->ring_seconds = (long)(conf_ms("ring_time") / 1000);
	f->agents_available = conf_bool("agents_available");
	snprintf(f->profile, sizeof(f->profile), "%s",
		 conf_str("gateway_profile"));
	for (size_t i = 0; i < 3; i++)
		f->answers[i] = BUF_INIT;
	f->esl = esl_new(l, conf_str("freeswitch_event_socket"),
			 *password ? password : "ClueCon",
			 conf_ms("reload_timeout"), on_state, f, e);
	return f->esl ? 0 : -1;
}

void
reload_freeswitch_release(struct reload_freeswitch *f)
{
	if (!f->esl)
		return;
	esl_free(f->esl);
	f->esl = NULL;
	reload_peer_release(&f->peer);
	for (size_t i = 0; i < 3; i++)
		buf_release(&f->answers[i]);
	free(f->trunks);
}
