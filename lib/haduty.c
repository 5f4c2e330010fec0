#include "haduty.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "esl.h"
#include "filereplace.h"
#include "hanode.h"
#include "log.h"
#include "loop.h"
#include "services.h"

#define FILE_MAX 16384
/* Of one answer of FreeSWITCH. */
#define ANSWER_MS INT64_C(5000)

static const char *const words[HA_DUTIES] = {
	[HA_DUTY_UNKNOWN] = "unknown",
	[HA_DUTY_NONE] = "none",
	[HA_DUTY_STANDBY] = "standby",
	[HA_DUTY_PRIMARY] = "primary",
};

/* What each duty runs. */
static const char *
list_of(enum ha_duty duty)
{
	if (duty == HA_DUTY_PRIMARY)
		return conf_str("failover_services");
	return duty == HA_DUTY_STANDBY ? conf_str("standby_services") : "";
}

static bool
is_in(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += len)
		if ((at == list || strchr(" \t", at[-1])) &&
		    (!at[len] || strchr(" \t", at[len])))
			return true;
	return false;
}

/* --- the file --------------------------------------------------------- */

static void
file_path(char *path, size_t size)
{
	snprintf(path, size, "%s/services", conf_str("health_dir"));
}

static json_t *
file_load(void)
{
	struct verr ignored = VERR_INIT;
	struct buf text = BUF_INIT;
	json_t *object = NULL;
	char path[4096];

	file_path(path, sizeof(path));
	if (file_read(path, FILE_MAX, &text, &ignored) == 0)
		object = json_loads(text.data, 0, NULL);
	buf_release(&text);
	return object;
}

static int
file_save(json_t *object, struct verr *e)
{
	char *text = json_dumps(object, JSON_COMPACT), path[4096];
	int rc;

	file_path(path, sizeof(path));
	rc = text ? file_replace(path, text, strlen(text), 0644, false, e)
		  : verr_set(e, VERR_RETRY, "out of memory");
	free(text);
	json_decref(object);
	return rc;
}

/* Each service is asked: a start that succeeded says little. */
static int
remember(enum ha_duty duty, struct verr *e)
{
	const char *names[SERVICES_MAX];
	char *copy = strdup(list_of(duty));
	json_t *object = json_object(), *services = json_object();
	struct verr ignored = VERR_INIT;
	size_t n = copy ? services_split(copy, names) : 0;

	for (size_t i = 0; i < n; i++) {
		int runs = services_status(names[i], &ignored);

		json_object_set_new(services, names[i],
				    json_string(runs == -1  ? "unknown"
						: runs == 1 ? "running"
							    : "stopped"));
		if (runs == 0)
			log_warning("service '%s' was started and does not run",
				    names[i]);
	}
	free(copy);
	json_object_set_new(object, "duty", json_string(words[duty]));
	json_object_set_new(object, "at", json_integer(ha_real_ms() / 1000));
	json_object_set_new(object, "services", services);
	return file_save(object, e);
}

enum ha_duty
ha_duty_now(void)
{
	json_t *object = file_load();
	const char *word = json_string_value(json_object_get(object, "duty"));
	enum ha_duty duty = HA_DUTY_UNKNOWN;

	for (int i = 0; word && i < HA_DUTIES; i++)
		if (strcmp(word, words[i]) == 0)
			duty = (enum ha_duty)i;
	json_decref(object);
	return duty;
}

void
ha_duty_each(void (*fn)(const char *name, const char *state, void *arg),
	     void *arg)
{
	json_t *object = file_load(), *state;
	json_t *services = json_object_get(object, "services");
	const char *name, *recover;

	json_object_foreach (services, name, state) {
		const char *word = json_string_value(state);

		fn(name, word ? word : "unknown", arg);
	}
	recover = json_string_value(json_object_get(object, "recover"));
	if (recover)
		fn("sofia recover", recover, arg);
	json_decref(object);
}

static void
add_text(const char *name, const char *state, void *arg)
{
	struct buf *b = arg;

	buf_printf(b, "%s%s %s", b->len ? ", " : "", name, state);
}

void
ha_duty_text(struct buf *b)
{
	ha_duty_each(add_text, b);
}

/* --- taking it -------------------------------------------------------- */

/* The last first; those that are not in `but`.  Goes on after a failure, and
 * returns the first one. */
static int
stop_others(const char *list, const char *but, struct verr *e)
{
	const char *names[SERVICES_MAX];
	char *copy = strdup(list);
	size_t n = copy ? services_split(copy, names) : 0;
	int rc = copy ? 0 : verr_set(e, VERR_RETRY, "out of memory");

	while (n-- > 0) {
		struct verr why = VERR_INIT;

		if (is_in(but, names[n]) || services_stop(names[n], &why) == 0)
			continue;
		log_warning("%s", why.msg);
		if (rc == 0)
			*e = why;
		rc = -1;
	}
	free(copy);
	return rc;
}

int
ha_duty_take(enum ha_duty duty, struct verr *e)
{
	const char *primary = conf_str("failover_services");
	const char *standby = conf_str("standby_services");
	struct verr stop = VERR_INIT;
	int stopped;

	/* Of a duty that is not taken to its end nothing is known. */
	if (remember(HA_DUTY_UNKNOWN, e) == -1)
		return -1;
	stopped = duty == HA_DUTY_PRIMARY
			  ? stop_others(standby, primary, &stop)
			  : stop_others(primary, standby, &stop);
	if (services_start_all(list_of(duty), e) == -1 ||
	    remember(duty, e) == -1)
		return -1;
	if (duty != HA_DUTY_NONE || stopped == 0)
		return 0;
	*e = stop;
	return -1;
}

/* --- FreeSWITCH ------------------------------------------------------- */

struct recovery {
	struct esl *esl;
	struct verr why;
	bool done;
};

static void
on_answer(const char *answer, size_t len, const struct verr *e, void *arg)
{
	struct recovery *r = arg;

	if (!answer)
		r->why = *e;
	else if (len >= 4 && memcmp(answer, "-ERR", 4) == 0)
		verr_set(&r->why, VERR_CONFIG, "FreeSWITCH: %.200s", answer);
	else
		log_event(LOG_LEVEL_INFO, "sofia recover", "answer", answer,
			  NULL);
	r->done = true;
}

/* It has just been started: what fails is tried again by esl itself. */
static void
on_state(bool up, const struct verr *e, void *arg)
{
	struct recovery *r = arg;

	if (!up)
		r->why = *e;
	else if (esl_api(r->esl, "sofia recover", on_answer, r, &r->why) == 0)
		r->why = VERR_INIT;
}

static int
recover(struct verr *e)
{
	const char *password = conf_str("freeswitch_password");
	int64_t end = loop_now_ms() + conf_ms("service_timeout");
	struct recovery r = { .done = false };
	struct loop *loop = loop_new(e);

	if (!loop)
		return -1;
	r.esl = esl_new(loop, conf_str("freeswitch_event_socket"),
			*password ? password : "ClueCon", ANSWER_MS, on_state,
			&r, e);
	while (r.esl && !r.done && loop_now_ms() < end &&
	       loop_turn(loop, end - loop_now_ms(), &r.why) == 0)
		;
	esl_free(r.esl);
	loop_free(loop);
	if (!r.esl)
		return -1;
	if (r.done && r.why.kind == VERR_NONE)
		return 0;
	return verr_set(e, VERR_RETRY, "sofia recover: %.400s",
			*r.why.msg ? r.why.msg : "no answer");
}

int
ha_duty_recover(struct verr *e)
{
	struct verr ignored = VERR_INIT;
	int rc = recover(e);
	json_t *object = file_load();

	if (object) {
		json_object_set_new(object, "recover",
				    json_string(rc == 0 ? "done" : e->msg));
		file_save(object, &ignored);
	}
	return rc;
}

/* --- seeing to it ----------------------------------------------------- */

enum ha_duty
ha_duty_of(const struct ha_state *s)
{
	const struct ha_kept *k = &s->kept;

	if (s->maintenance || *k->doing || k->wanted)
		return HA_DUTY_UNKNOWN;
	switch (s->pg) {
	case HA_PG_PRIMARY:
		return k->held ? HA_DUTY_PRIMARY : HA_DUTY_UNKNOWN;
	case HA_PG_STANDBY:
	case HA_PG_STRAY:
		return !k->held && s->streaming ? HA_DUTY_STANDBY
						: HA_DUTY_UNKNOWN;
	case HA_PG_DOWN_PRIMARY:
	case HA_PG_DOWN_STANDBY:
		return !k->held && k->fenced ? HA_DUTY_NONE : HA_DUTY_UNKNOWN;
	case HA_PG_HUNG:
		break;
	}
	return HA_DUTY_UNKNOWN;
}

bool
ha_duty_is_due(const struct ha_state *s)
{
	enum ha_duty duty = ha_duty_of(s);

	return duty != HA_DUTY_UNKNOWN && duty != ha_duty_now();
}
