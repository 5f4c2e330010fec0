/* FreeSWITCH by its event socket: status, profiles, calls, registrations. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buf.h"
#include "conf.h"
#include "esl.h"
#include "loop.h"
#include "probe.h"

struct question {
	struct loop *loop;
	struct esl *esl;
	const char *command;
	struct buf answer;
	struct verr e;
	bool done;
};

static void
on_answer(const char *answer, size_t len, const struct verr *e, void *arg)
{
	struct question *q = arg;

	q->done = true;
	if (answer)
		buf_add(&q->answer, answer, len);
	else
		q->e = *e;
}

static void
on_state(bool up, const struct verr *e, void *arg)
{
	struct question *q = arg;

	if (q->done)
		return;
	if (!up) {
		q->e = *e;
		q->done = true;
	} else if (esl_api(q->esl, q->command, on_answer, q, &q->e) == -1) {
		q->done = true;
	}
}

/*
 * Ask one command over a connection of its own.  The answer is in `answer`,
 * which the caller releases; without one the probe has failed.
 */
static bool
ask_until(int64_t end_ms, struct probe_result *r, const char *command,
	  struct buf *answer)
{
	struct question q = { .command = command, .answer = BUF_INIT };
	const char *password = conf_str("freeswitch_password");
	int64_t left_ms = end_ms - loop_now_ms();
	bool ok;

	q.loop = loop_new(&q.e);
	if (q.loop)
		q.esl = esl_new(q.loop, conf_str("freeswitch_event_socket"),
				*password ? password : "ClueCon",
				left_ms > 0 ? left_ms : 1, on_state, &q, &q.e);
	while (q.esl && !q.done && loop_now_ms() < end_ms &&
	       loop_turn(q.loop, end_ms - loop_now_ms(), &q.e) == 0)
		;
	esl_free(q.esl);
	loop_free(q.loop);
	ok = q.answer.len > 0 && strncmp(q.answer.data, "-ERR", 4) != 0;
	if (!ok)
		probe_found(r, PROBE_FAILED, "%s: %.180s", command,
			    q.answer.len > 0 ? q.answer.data
			    : *q.e.msg       ? q.e.msg
					     : "no answer");
	*answer = q.answer;
	return ok;
}

static bool
ask(const struct probe *p, struct probe_result *r, const char *command,
    struct buf *answer)
{
	return ask_until(loop_now_ms() + p->timeout_ms - 100, r, command,
			 answer);
}

/* --- status ----------------------------------------------------------- */

struct status {
	double sessions_total, sessions, sessions_peak, sessions_peak_5min;
	double sps, max_sps, sps_peak, sps_peak_5min, max_sessions;
	double min_idle_cpu, idle_cpu, uptime;
	bool ready;
};

/* "0 years, 1 day, 2 hours, 3 minutes, 4 seconds, 5 milliseconds, ..." */
static double
uptime(const char *text)
{
	static const struct {
		const char *word;
		double seconds;
	} units[] = {
		{ "year", 365.0 * 86400 },
		{ "day", 86400 },
		{ "hour", 3600 },
		{ "minute", 60 },
		{ "second", 1 },
		{ "millisecond", 0.001 },
		{ "microsecond", 0.000001 },
	};
	double all = 0;
	char *end;

	for (double n; n = strtod(text, &end), end != text; text = end) {
		end += strspn(end, " ");
		for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
			if (strncmp(end, units[i].word,
				    strlen(units[i].word)) == 0)
				all += n * units[i].seconds;
		end += strcspn(end, ",");
		end += strspn(end, ", ");
	}
	return all;
}

/* The lines that mod_commands' "status" prints. */
static void
take_line(struct status *s, const char *line)
{
	double a, b, c, d;

	if (strncmp(line, "UP ", 3) == 0)
		s->uptime = uptime(line + 3);
	else if (strstr(line, " is ready"))
		s->ready = true;
	else if (sscanf(line, "%lf session(s) - peak %lf, last 5min %lf", &a,
			&b, &c) == 3) {
		s->sessions = a;
		s->sessions_peak = b;
		s->sessions_peak_5min = c;
	} else if (sscanf(line,
			  "%lf session(s) per Sec out of max %lf, peak %lf, "
			  "last 5min %lf",
			  &a, &b, &c, &d) == 4) {
		s->sps = a;
		s->max_sps = b;
		s->sps_peak = c;
		s->sps_peak_5min = d;
	} else if (strstr(line, "session(s) since startup")) {
		s->sessions_total = strtod(line, NULL);
	} else if (strstr(line, "session(s) max")) {
		s->max_sessions = strtod(line, NULL);
	} else if (sscanf(line, "min idle cpu %lf/%lf", &a, &b) == 2) {
		s->min_idle_cpu = a;
		s->idle_cpu = b;
	}
}

static void
add_status(struct probe_result *r, const struct status *s)
{
	const struct {
		const char *metric;
		double value;
	} values[] = {
		{ "freeswitch_uptime_seconds", s->uptime },
		{ "freeswitch_sessions_total", s->sessions_total },
		{ "freeswitch_current_sessions", s->sessions },
		{ "freeswitch_current_sessions_peak", s->sessions_peak },
		{ "freeswitch_current_sessions_peak_last_5min",
		  s->sessions_peak_5min },
		{ "freeswitch_max_sessions", s->max_sessions },
		{ "freeswitch_current_sps", s->sps },
		{ "freeswitch_current_sps_peak", s->sps_peak },
		{ "freeswitch_current_sps_peak_last_5min", s->sps_peak_5min },
		{ "freeswitch_max_sps", s->max_sps },
		{ "freeswitch_min_idle_cpu", s->min_idle_cpu },
		{ "freeswitch_current_idle_cpu", s->idle_cpu },
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		probe_value(r, values[i].metric, values[i].value);
}

void
probe_freeswitch(const struct probe *p, struct probe_result *r)
{
	struct buf answer = BUF_INIT;
	struct status s = { 0 };
	bool up = ask(p, r, "status", &answer);

	probe_value(r, "freeswitch_up", up);
	for (char *save = NULL,
		  *line = up ? strtok_r(answer.data, "\n", &save) : NULL;
	     line; line = strtok_r(NULL, "\n", &save))
		take_line(&s, line);
	buf_release(&answer);
	if (!up)
		return;
	add_status(r, &s);
	if (!s.ready)
		probe_found(r, PROBE_WARNING, "it says that it is not ready");
	else if (s.max_sessions > 0 && s.sessions >= s.max_sessions)
		probe_found(r, PROBE_WARNING, "%.0f sessions, and no more",
			    s.sessions);
	else
		probe_found(r, PROBE_OK, "ready, %.0f of %.0f sessions",
			    s.sessions, s.max_sessions);
}

/* --- counts ----------------------------------------------------------- */

/* "show ... count": an empty line, then "12 total." */
static void
count(const struct probe *p, struct probe_result *r, const char *command,
      const char *metric, const char *what)
{
	struct buf answer = BUF_INIT;
	double n;

	if (ask(p, r, command, &answer)) {
		if (sscanf(answer.data, " %lf total", &n) == 1) {
			probe_value(r, metric, n);
			probe_found(r, PROBE_OK, "%.0f %s", n, what);
		} else {
			probe_found(r, PROBE_WARNING, "%s: no count", command);
		}
	}
	buf_release(&answer);
}

/* What only dashboards ask for: without an answer there is no figure. */
static double
figure(int64_t end_ms, const char *command)
{
	struct probe_result ignored = { 0 };
	struct buf answer = BUF_INIT;
	double n = -1;

	if (!ask_until(end_ms, &ignored, command, &answer) ||
	    sscanf(answer.data, " %lf", &n) != 1)
		n = -1;
	buf_release(&answer);
	return n;
}

void
probe_calls(const struct probe *p, struct probe_result *r)
{
	int64_t end_ms = loop_now_ms() + p->timeout_ms - 100;
	double bridged, clock;

	count(p, r, "show calls count", "freeswitch_current_calls", "calls");
	if (r->state != PROBE_OK)
		return;
	bridged = figure(end_ms, "show bridged_calls count");
	if (bridged >= 0)
		probe_value(r, "freeswitch_bridged_calls", bridged);
	clock = figure(end_ms, "strepoch");
	if (clock >= 0)
		probe_value(r, "freeswitch_time_synced",
			    fabs(clock - (double)time(NULL)) <= 1);
}

void
probe_registrations(const struct probe *p, struct probe_result *r)
{
	count(p, r, "show registrations count", "freeswitch_registrations",
	      "registrations");
}

/* --- profiles and gateways -------------------------------------------- */

/* "   internal  profile  sip:mod_sofia@192.0.2.1:5080  RUNNING (0)" */
static bool
runs(const char *table, const char *profile)
{
	char name[128], type[32], data[256], state[32];

	for (const char *line = table; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, " %127s %31s %255s %31s", name, type, data,
			   state) == 4 &&
		    strcmp(name, profile) == 0 && strcmp(type, "profile") == 0)
			return strcmp(state, "RUNNING") == 0;
	}
	return false;
}

void
probe_profiles(const struct probe *p, struct probe_result *r)
{
	char *names = strdup(conf_str(p->setting)), *save = NULL;
	struct buf answer = BUF_INIT;
	bool ok;

	if (!*conf_str("freeswitch_event_socket")) {
		probe_found(r, PROBE_OFF,
			    "setting freeswitch_event_socket is empty");
		free(names);
		return;
	}
	ok = names && ask(p, r, "sofia status", &answer);
	for (char *name = ok ? strtok_r(names, " ,", &save) : NULL; name;
	     name = strtok_r(NULL, " ,", &save)) {
		bool up = runs(answer.data, name);

		probe_worse(r, up ? PROBE_OK : PROBE_FAILED,
			    up ? "all of them run"
			       : "profile '%.100s' does not run",
			    name);
		probe_labelled(r, "freeswitch_sofia_profile_running", "profile",
			       name, up);
	}
	buf_release(&answer);
	free(names);
}

/* Between <tag> and </tag>, after `from`; false when there is none. */
static bool
element(const char *from, const char *end, const char *tag, char *to,
	size_t size)
{
	char open[32];
	const char *at;

	snprintf(open, sizeof(open), "<%s>", tag);
	at = strstr(from, open);
	if (!at || at >= end)
		return false;
	at += strlen(open);
	snprintf(to, size, "%.*s", (int)strcspn(at, "<"), at);
	return true;
}

static const char close_tag[] = "</gateway>";

/* The samples of a metric stand together. */
static void
add_figures(struct probe_result *r, const char *gateways, const char *tag,
	    const char *metric)
{
	char name[100], value[32];
	const char *end;

	for (const char *at = gateways; (end = strstr(at, close_tag));
	     at = end + strlen(close_tag))
		if (element(at, end, "name", name, sizeof(name)) &&
		    element(at, end, tag, value, sizeof(value)))
			probe_labelled(r, metric, "name", name,
				       strtod(value, NULL));
}

void
probe_gateways(const struct probe *p, struct probe_result *r)
{
	static const char *const figures[][2] = {
		{ "calls-in", "freeswitch_sofia_gateway_call_in" },
		{ "calls-out", "freeswitch_sofia_gateway_call_out" },
		{ "failed-calls-in",
		  "freeswitch_sofia_gateway_failed_call_in" },
		{ "failed-calls-out",
		  "freeswitch_sofia_gateway_failed_call_out" },
		{ "ping", "freeswitch_sofia_gateway_ping" },
		{ "pingfreq", "freeswitch_sofia_gateway_pingfreq" },
		{ "pingcount", "freeswitch_sofia_gateway_pingcount" },
		{ "pingmin", "freeswitch_sofia_gateway_pingmin" },
		{ "pingmax", "freeswitch_sofia_gateway_pingmax" },
		{ "pingtime", "freeswitch_sofia_gateway_pingtime" },
	};
	struct buf answer = BUF_INIT;
	char name[100], status[32];
	const char *end;
	int all = 0, up = 0;

	if (!ask(p, r, "sofia xmlstatus gateway", &answer)) {
		buf_release(&answer);
		return;
	}
	for (const char *at = answer.data; (end = strstr(at, close_tag));
	     at = end + strlen(close_tag)) {
		bool is_up;

		if (!element(at, end, "name", name, sizeof(name)) ||
		    !element(at, end, "status", status, sizeof(status)))
			continue;
		is_up = strcmp(status, "UP") == 0;
		all++;
		up += is_up;
		if (!is_up)
			probe_worse(r, PROBE_WARNING, "gateway '%s' is %s",
				    name, status);
		probe_labelled(r, "freeswitch_sofia_gateway_status", "name",
			       name, is_up);
	}
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		add_figures(r, answer.data, figures[i][0], figures[i][1]);
	probe_worse(r, PROBE_OK, "%d of %d gateways up", up, all);
	buf_release(&answer);
}
