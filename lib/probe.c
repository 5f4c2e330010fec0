#include "probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "loop.h"
#include "utf8.h"

#define FATAL    PROBE_FATAL
#define DEGRADED PROBE_DEGRADED
#define SHARED   PROBE_SHARED

/* clang-format off */
const struct probe probes[] = {
	/* name, class, interval, timeout (ms), fall, rise */
	{ "database", FATAL, 400, 300, 2, 1, probe_database, "node_database",
	  "read PostgreSQL's log; in a pair voip-failover status says what"
	  " helps" },
	{ "write", FATAL, 2000, 2000, 3, 1, probe_write, "node_database",
	  "look for a full or slow disk below the data directory" },
	{ "replication", DEGRADED, 2000, 1000, 2, 1, probe_replication,
	  "node_database",
	  "voip-failover status says what helps, and on which node" },
	{ "dirxml", FATAL, 5000, 1000, 2, 1, probe_endpoint, "dirxml_listen",
	  "systemctl restart voip-dirxml" },
	{ "cdr-ingest", FATAL, 5000, 1000, 2, 1, probe_endpoint, "cdr_listen",
	  "systemctl restart voip-cdr-ingest" },
	{ "kamailio", FATAL, 2000, 1500, 2, 2, probe_kamailio, "kamailio_sip",
	  "systemctl restart kamailio" },
	{ "kamailio-rpc", DEGRADED, 10000, 1000, 2, 1, probe_kamailio_rpc,
	  "kamailio_rpc", "see event_route[xhttp:request] of kamailio.cfg" },
	{ "freeswitch", DEGRADED, 5000, 1000, 2, 2, probe_freeswitch,
	  "freeswitch_event_socket", "systemctl restart freeswitch" },
	{ "profiles", DEGRADED, 10000, 1000, 2, 1, probe_profiles,
	  "health_profiles", "fs_cli -x 'sofia profile NAME restart'" },
	{ "calls", DEGRADED, 10000, 1000, 1, 1, probe_calls,
	  "freeswitch_event_socket", "see show calls in fs_cli" },
	{ "registrations", DEGRADED, 10000, 1000, 1, 1, probe_registrations,
	  "freeswitch_event_socket", "see show registrations in fs_cli" },
	{ "gateways", SHARED, 10000, 1000, 2, 1, probe_gateways,
	  "freeswitch_event_socket", "ask the carrier; voip-ext trunk list" },
	{ "cdr-spool", DEGRADED, 10000, 1000, 1, 1, probe_spool,
	  "cdr_spool_dir", "run voip-cdr-ingest, or wait for the database" },
	{ "cdr-queue", SHARED, 10000, 1000, 2, 1, probe_queue, "node_database",
	  "systemctl status voip-cdr-flush; voip-cdr dead list" },
	{ "cdr-partitions", SHARED, 60000, 5000, 1, 1, probe_partitions,
	  "node_database", "voip-prune; it makes the partitions" },
	{ "disks", DEGRADED, 10000, 2000, 1, 1, probe_disks, "health_disks",
	  "make room: voip-prune, old logs, old data directories" },
	{ "inodes", DEGRADED, 10000, 2000, 1, 1, probe_inodes, "health_disks",
	  "remove files: df -i tells where" },
	{ "tmpfs", DEGRADED, 10000, 2000, 1, 1, probe_tmpfs, "health_tmpfs",
	  "make room: recordings are moved to the disk from there" },
	{ "clock", DEGRADED, 10000, 1000, 2, 1, probe_clock, "health_clock",
	  "systemctl status chrony, or what keeps the time" },
	{ "certificates", DEGRADED, 60000, 2000, 1, 1, probe_certificates,
	  "health_certificates", "renew it and reload who serves it" },
	{ "units", DEGRADED, 10000, 8000, 2, 1, probe_units, "health_units",
	  "systemctl status, then start it" },
	{ "lsyncd", DEGRADED, 10000, 1000, 2, 1, probe_lsyncd, "lsyncd_status",
	  "read lsyncd's log, restart it" },
	{ "address", DEGRADED, 1000, 500, 2, 1, probe_address,
	  "virtual_address", "ip addr; journalctl -u keepalived" },
	{ "keepalived", DEGRADED, 2000, 500, 2, 1, probe_keepalived,
	  "peer_address", "journalctl -u keepalived; voip-failover status" },
	{ "peer", SHARED, 1000, 500, 2, 1, probe_peer, "peer_address",
	  "voip-failover status on both nodes" },
	{ .name = NULL },
};
/* clang-format on */

size_t
probe_count(void)
{
	return sizeof(probes) / sizeof(probes[0]) - 1;
}

const char *
probe_class_word(enum probe_class c)
{
	static const char *const words[] = { "local fatal", "local degraded",
					     "shared" };

	return words[c];
}

const char *
probe_state_word(enum probe_state s)
{
	static const char *const words[] = { "ok", "off", "warning", "failed" };

	return words[s];
}

const char *
probe_role_word(enum probe_role role)
{
	static const char *const words[] = { "none", "primary", "standby" };

	return words[role];
}

enum probe_class
probe_class_of(const struct probe *p)
{
	const char *list = conf_str("health_fatal");
	size_t len = strlen(p->name);

	for (const char *at = list; (at = strstr(at, p->name)); at += len)
		if ((at == list || strchr(", ", at[-1])) &&
		    strchr(", ", at[len]))
			return PROBE_FATAL;
	return p->class;
}

bool
probe_is_quick(const struct probe *p)
{
	return (p->setting && !*conf_str(p->setting)) ||
	       p->run == probe_clock || p->run == probe_address ||
	       p->run == probe_keepalived || p->run == probe_peer;
}

bool
probe_is_database(const struct probe *p)
{
	return p->run == probe_database || p->run == probe_write;
}

__attribute__((format(printf, 3, 0))) static void
find(struct probe_result *r, enum probe_state state, const char *fmt,
     va_list ap)
{
	r->state = state;
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	/* One line: hints are for people at a prompt. */
	r->detail[strcspn(r->detail, "\n")] = '\0';
	utf8_trim(r->detail);
}

void
probe_found(struct probe_result *r, enum probe_state state, const char *fmt,
	    ...)
{
	va_list ap;

	va_start(ap, fmt);
	find(r, state, fmt, ap);
	va_end(ap);
}

void
probe_worse(struct probe_result *r, enum probe_state state, const char *fmt,
	    ...)
{
	va_list ap;

	if (*r->detail && state <= r->state)
		return;
	va_start(ap, fmt);
	find(r, state, fmt, ap);
	va_end(ap);
}

void
probe_label(char *to, size_t size, const char *text)
{
	struct buf b = BUF_INIT;
	size_t n = 0;

	/* UTF-8 as it should be: a scraper refuses the whole page else. */
	utf8_repair(&b, text, strlen(text));
	for (const char *p = buf_failed(&b) ? "" : b.data; *p && n + 3 < size;
	     p++) {
		if (*p == '"' || *p == '\\')
			to[n++] = '\\';
		to[n++] = (unsigned char)*p < ' ' ? ' ' : *p;
	}
	/* Not half a character at the end. */
	while (n && b.len > n && ((unsigned char)to[n - 1] & 0x80))
		n--;
	to[n] = '\0';
	buf_release(&b);
}

void
probe_labelled(struct probe_result *r, const char *metric, const char *label,
	       const char *text, double value)
{
	size_t used = strlen(r->metrics);
	char quoted[160];
	int len;

	probe_label(quoted, sizeof(quoted), label ? text : "");
	len = label ? snprintf(r->metrics + used, sizeof(r->metrics) - used,
			       "%s{%s=\"%s\"} %.15g\n", metric, label, quoted,
			       value)
		    : snprintf(r->metrics + used, sizeof(r->metrics) - used,
			       "%s %.15g\n", metric, value);
	/* A whole line or none. */
	if (len < 0 || (size_t)len >= sizeof(r->metrics) - used)
		r->metrics[used] = '\0';
}

void
probe_value(struct probe_result *r, const char *metric, double value)
{
	probe_labelled(r, metric, NULL, NULL, value);
}

void
probe_each_word(const struct probe *p, struct probe_result *r,
		void (*fn)(const char *word, struct probe_result *r))
{
	char *copy = strdup(conf_str(p->setting)), *save = NULL;

	if (!copy)
		probe_found(r, PROBE_FAILED, "out of memory");
	for (char *word = strtok_r(copy, " ,\t", &save); word;
	     word = strtok_r(NULL, " ,\t", &save))
		fn(word, r);
	free(copy);
}

void
probe_pack(struct buf *to, const struct probe_result *r)
{
	buf_add(to, r, offsetof(struct probe_result, history));
	buf_add(to, r->history, strlen(r->history) + 1);
	buf_add(to, r->metrics, strlen(r->metrics) + 1);
}

bool
probe_unpack(struct probe_result *r, const struct buf *from)
{
	const size_t head = offsetof(struct probe_result, history);
	const char *end = from->data + from->len;
	const char *history = from->data + head, *metrics;

	if (from->len < head + 2 || end[-1])
		return false;
	metrics = history + strlen(history) + 1;
	if (metrics >= end || metrics - history > PROBE_HISTORY ||
	    end - metrics > PROBE_METRICS)
		return false;
	memcpy(r, from->data, head);
	strcpy(r->history, history);
	strcpy(r->metrics, metrics);
	return true;
}

void
probe_run(const struct probe *p, struct probe_result *r)
{
	int64_t start = loop_now_ms();

	memset(r, 0, sizeof(*r));
	if (p->setting && !*conf_str(p->setting))
		probe_found(r, PROBE_OFF, "setting %s is empty", p->setting);
	else
		p->run(p, r);
	r->took_ms = loop_now_ms() - start;
	r->at = time(NULL);
}
