#include "haalert.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "conf.h"
#include "filereplace.h"
#include "hanode.h"
#include "httpc.h"
#include "log.h"
#include "out.h"

#define ALERT_MS INT64_C(10000)
#define LAST_MAX 4096

static bool
is_worth_it(enum ha_action a)
{
	return a != HA_NOTHING && a != HA_WAIT && a != HA_ASK;
}

/* Remembers it, too. */
static bool
is_new(const char *name, const char *text)
{
	struct buf before = BUF_INIT;
	struct verr ignored = VERR_INIT;
	char path[4096];
	bool same;

	snprintf(path, sizeof(path), "%s/%s", conf_str("failover_state_dir"),
		 name);
	same = file_read(path, LAST_MAX, &before, &ignored) == 0 &&
	       strcmp(before.data, text) == 0;
	if (!same &&
	    file_replace(path, text, strlen(text), 0640, false, &ignored) == -1)
		log_warning("%s", ignored.msg);
	buf_release(&before);
	return !same;
}

static void
add(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s\"%s\":", b->len ? "," : "{", name);
	out_json_string(b, value, strlen(value));
}

static void
post(const char *const values[4])
{
	static const char *const names[] = { "node", "action", "result",
					     "why" };
	struct buf body = BUF_INIT;
	struct verr e = VERR_INIT;
	long status = 0;

	for (size_t i = 0; i < 4; i++)
		add(&body, names[i], values[i]);
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
run(const char *const values[4])
{
	char node[96], action[64], result[64], why[1100];
	const char *const environment[] = { node, action, result, why, NULL };
	struct buf said = BUF_INIT;
	struct verr e = VERR_INIT;
	int status;

	snprintf(node, sizeof(node), "VOIP_NODE=%s", values[0]);
	snprintf(action, sizeof(action), "VOIP_ACTION=%s", values[1]);
	snprintf(result, sizeof(result), "VOIP_RESULT=%s", values[2]);
	snprintf(why, sizeof(why), "VOIP_WHY=%s", values[3]);
	status = command_run(conf_str("alert_command"), NULL, environment,
			     ALERT_MS, &said, &e);
	if (status == -1)
		log_error("alert_command: %s", e.msg);
	else if (status)
		log_error("alert_command: status %d: %.300s", status,
			  said.data);
	buf_release(&said);
}

/* `memory`: the file with the last one of its kind. */
static void
give(const char *memory, const char *action, const char *result,
     const char *why)
{
	char text[LAST_MAX], name[64];
	const char *const values[4] = { name, action, result, why };

	if (!*conf_str("alert_url") && !*conf_str("alert_command"))
		return;
	ha_node_name(name, sizeof(name));
	snprintf(text, sizeof(text), "%s %s %.2000s\n", action, result, why);
	if (!is_new(memory, text))
		return;
	if (fork() != 0)
		return;
	/* A lock that is held here must not be held by this one, too. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	if (*conf_str("alert_url"))
		post(values);
	if (*conf_str("alert_command"))
		run(values);
	_exit(0);
}

void
ha_alert_about(const char *action, const char *result, const char *why)
{
	char memory[64];

	snprintf(memory, sizeof(memory), "alert.%.32s", action);
	give(memory, action, result, why);
}

void
ha_alert(const struct ha_outcome *o, const struct verr *failure)
{
	if (!failure && !(o->row && is_worth_it(o->row->action)))
		return;
	give("alert", o->row ? ha_action_word(o->row->action) : "look",
	     failure ? "failed" : "done",
	     failure  ? failure->msg
	     : o->row ? o->row->why
		      : "");
}
