#include "haalert.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "conf.h"
#include "filereplace.h"
#include "hadiagnose.h"
#include "haduty.h"
#include "hanode.h"
#include "httpc.h"
#include "log.h"
#include "out.h"

#define ALERT_MS INT64_C(10000)
#define LAST_MAX 4096

/* What an alert says: names of the JSON object and of the environment. */
enum field { NODE, EVENT, ACTION, RESULT, WHY, SERVICES, DIAGNOSTICS, FIELDS };

static const struct {
	const char *json;
	const char *variable;
} fields[FIELDS] = {
	[NODE] = { "node", "VOIP_NODE" },
	[EVENT] = { "event", "VOIP_EVENT" },
	[ACTION] = { "action", "VOIP_ACTION" },
	[RESULT] = { "result", "VOIP_RESULT" },
	[WHY] = { "why", "VOIP_WHY" },
	[SERVICES] = { "services", "VOIP_SERVICES" },
	[DIAGNOSTICS] = { "diagnostics", "VOIP_DIAGNOSTICS" },
};

static bool
is_worth_it(enum ha_action a)
{
	return a != HA_NOTHING && a != HA_WAIT && a != HA_ASK;
}

/* Remembers it, too. */
static bool
is_new(const char *name, const char *text)
{
	struct verr why = VERR_INIT;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", conf_str("failover_state_dir"),
		 name);
	if (file_has(path, text))
		return false;
	if (file_replace(path, text, strlen(text), 0640, false, &why) == -1)
		log_warning("%s", why.msg);
	return true;
}

static void
post(const char *const values[FIELDS])
{
	struct buf body = BUF_INIT;
	struct verr e = VERR_INIT;
	long status = 0;

	for (size_t i = 0; i < FIELDS; i++) {
		buf_printf(&body, "%s\"%s\":", i ? "," : "{", fields[i].json);
		out_json_string(&body, values[i], strlen(values[i]));
	}
	buf_putc(&body, '}');
	if (buf_failed(&body))
		log_error("alert_url: out of memory");
	else if (httpc_post_url(conf_str("alert_url"), "application/json",
				body.data, ALERT_MS, &status, &e) == -1)
		log_error("alert_url: %s", e.msg);
	else if (status / 100 != 2)
		log_error("alert_url: it answers %ld", status);
	buf_release(&body);
}

static void
run(const char *const values[FIELDS])
{
	char text[FIELDS][1200];
	const char *environment[FIELDS + 1] = { NULL };
	struct buf said = BUF_INIT;
	struct verr e = VERR_INIT;
	int status;

	for (size_t i = 0; i < FIELDS; i++) {
		snprintf(text[i], sizeof(text[i]), "%s=%s", fields[i].variable,
			 values[i]);
		environment[i] = text[i];
	}
	status = command_run(conf_str("alert_command"), NULL, environment,
			     ALERT_MS, &said, &e);
	if (status == -1)
		log_error("alert_command: %s", e.msg);
	else if (status)
		log_error("alert_command: status %d: %.300s", status,
			  said.data);
	buf_release(&said);
}

/* The name of the lowest bit. */
static const char *
event_word(enum ha_event event)
{
	return ha_value_name(HA_FACT_EVENT,
			     (size_t)__builtin_ctz((unsigned)event));
}

/*
 * In a process of its own; `memory`: the file with the last one of its kind.
 * `fault`: diagnostics are kept, whether somebody is told or not.
 */
static pid_t
give(const char *memory, bool fault, const char *values[FIELDS])
{
	char text[LAST_MAX], name[64], diagnostics[PATH_MAX] = "";
	struct buf services = BUF_INIT;
	struct verr why = VERR_INIT;
	pid_t pid;
	bool tell;

	snprintf(text, sizeof(text), "%s %s %s %.2000s\n", values[EVENT],
		 values[ACTION], values[RESULT], values[WHY]);
	tell = is_new(memory, text) &&
	       (*conf_str("alert_url") || *conf_str("alert_command"));
	if (!tell && !fault)
		return 0;
	pid = fork();
	if (pid != 0)
		return pid > 0 ? pid : 0;
	/* A lock that is held here must not be held by this one, too. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	if (fault &&
	    ha_diagnose("fault", diagnostics, sizeof(diagnostics), &why) == -1)
		log_error("diagnostics: %s", why.msg);
	if (!tell)
		_exit(0);
	ha_node_name(name, sizeof(name));
	ha_duty_text(&services);
	values[NODE] = name;
	values[SERVICES] = services.len ? services.data : "";
	values[DIAGNOSTICS] = diagnostics;
	if (*conf_str("alert_url"))
		post(values);
	if (*conf_str("alert_command"))
		run(values);
	_exit(0);
}

void
ha_alert_about(const char *action, const char *result, const char *why)
{
	const char *values[FIELDS] = {
		[EVENT] = "",
		[ACTION] = action,
		[RESULT] = result,
		[WHY] = why,
	};
	char memory[64];

	snprintf(memory, sizeof(memory), "alert.%.32s", action);
	give(memory, false, values);
}

pid_t
ha_alert(const struct ha_outcome *o, const struct verr *failure)
{
	bool fault = o->facts.event == HA_ON_FAULT;
	const char *values[FIELDS] = {
		[EVENT] = o->facts.event ? event_word(o->facts.event) : "",
		[ACTION] = o->row ? ha_action_word(o->row->action) : "look",
		[RESULT] = failure ? "failed" : "done",
		[WHY] = failure  ? failure->msg
			: o->row ? o->row->why
				 : "",
	};

	if (!fault && !failure && !(o->row && is_worth_it(o->row->action)))
		return 0;
	return give("alert", fault, values);
}
