/* Kamailio: a real OPTIONS over UDP, and its numbers by RPC. */
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "httpc.h"
#include "loop.h"
#include "probe.h"

/* RFC 3261 17.1.2.2: timer E starts with T1. */
#define T1_MS     500
#define SIP_MAX   4096
#define RPC_LIMIT (1 << 20)

/* --- OPTIONS ---------------------------------------------------------- */

/* "192.0.2.1:5060" or "[2001:db8::1]:5060": a connected socket, or -1. */
static int
open_socket(const char *address, struct verr *e)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
				  .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found = NULL;
	const char *port = strrchr(address, ':');
	char host[64];
	int fd;

	snprintf(host, sizeof(host), "%.*s",
		 (int)(port ? (size_t)(port - address) : strlen(address)) -
			 (*address == '[' ? 2 : 0),
		 address + (*address == '['));
	if (getaddrinfo(host, port ? port + 1 : "5060", &hints, &found) != 0)
		return verr_set(e, VERR_CONFIG, "'%.100s' is no ADDRESS:PORT",
				address);
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || connect(fd, found->ai_addr, found->ai_addrlen) == -1) {
		verr_sys(e, VERR_RETRY, "cannot send to '%.100s'", address);
		if (fd != -1)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

/* Our own address as the answer is to find it, "192.0.2.1:40001". */
static int
name_of(int fd, char *name, size_t size)
{
	struct sockaddr_storage own = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(own);
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&own, &len) == -1 ||
	    getnameinfo((struct sockaddr *)&own, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -1;
	snprintf(name, size, own.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
		 host, port);
	return 0;
}

static size_t
write_options(char *to, size_t size, const char *target, const char *own,
	      unsigned long long id)
{
	int len =
		snprintf(to, size,
			 "OPTIONS sip:health@%s SIP/2.0\r\n"
			 "Via: SIP/2.0/UDP %s;branch=z9hG4bK%016llx;rport\r\n"
			 "Max-Forwards: 10\r\n"
			 "From: <sip:voip-health@%s>;tag=%llx\r\n"
			 "To: <sip:health@%s>\r\n"
			 "Call-ID: %016llx@voip-health\r\n"
			 "CSeq: 1 OPTIONS\r\n"
			 "Contact: <sip:voip-health@%s>\r\n"
			 "User-Agent: voip-health\r\n"
			 "Content-Length: 0\r\n\r\n",
			 target, own, id, own, id & 0xffffff, target, id, own);

	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

/* The status of an answer to our question, or 0. */
static int
status_of(const char *answer, unsigned long long id)
{
	char branch[32];
	int status = 0;

	snprintf(branch, sizeof(branch), "z9hG4bK%016llx", id);
	if (sscanf(answer, "SIP/2.0 %3d ", &status) != 1 ||
	    !strstr(answer, branch))
		return 0;
	return status;
}

/* A final status, or -1; asks again as a transaction over UDP does. */
static int
ask(int fd, const char *text, size_t len, unsigned long long id, int64_t end_ms,
    struct verr *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t again_ms = 0, now = loop_now_ms();
	char answer[SIP_MAX];
	int status = 0, wait_ms = T1_MS;
	ssize_t n;

	for (; now < end_ms; now = loop_now_ms()) {
		if (now >= again_ms) {
			if (send(fd, text, len, 0) == -1)
				return verr_sys(e, VERR_RETRY, "cannot send");
			again_ms = now + wait_ms;
			wait_ms *= 2;
		}
		poll(&p, 1,
		     (int)((again_ms < end_ms ? again_ms : end_ms) - now));
		n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);
		/* ICMP: nobody listens there. */
		if (n == -1 && errno == ECONNREFUSED)
			return verr_sys(e, VERR_RETRY, "no answer");
		answer[n > 0 ? n : 0] = '\0';
		status = status_of(answer, id);
		if (status >= 200)
			return status;
	}
	return verr_set(e, VERR_RETRY,
			status ? "only a provisional answer" : "no answer");
}

void
probe_kamailio(const struct probe *p, struct probe_result *r)
{
	const char *target = conf_str(p->setting);
	unsigned long long id = 0;
	struct verr e = VERR_INIT;
	char text[SIP_MAX], own[96];
	int64_t start = loop_now_ms();
	int fd = open_socket(target, &e), status = -1;
	size_t len;

	if (getrandom(&id, sizeof(id), 0) == -1)
		id = (unsigned long long)start << 20 | (unsigned)getpid();
	if (fd != -1 && name_of(fd, own, sizeof(own)) == 0) {
		len = write_options(text, sizeof(text), target, own, id);
		status =
			ask(fd, text, len, id, start + p->timeout_ms - 100, &e);
	}
	if (fd != -1)
		close(fd);
	probe_value(r, "kamailio_up", status > 0);
	if (status > 0)
		probe_value(r, "voip_kamailio_options_seconds",
			    (double)(loop_now_ms() - start) / 1000);
	/* What it says of "health" is its business, but it must say it. */
	if (status == -1)
		probe_found(r, PROBE_FAILED, "OPTIONS to %.100s: %s", target,
			    e.msg);
	else
		probe_found(r, status >= 500 ? PROBE_FAILED : PROBE_OK,
			    "OPTIONS to %.100s: %d", target, status);
}

/* --- RPC -------------------------------------------------------------- */

struct rpc {
	json_t *result;
	struct verr e;
	bool done;
};

static void
on_rpc(long status, const struct buf *body, const struct verr *e, void *arg)
{
	struct rpc *rpc = arg;
	json_t *answer;

	rpc->done = true;
	if (e) {
		rpc->e = *e;
		return;
	}
	answer = json_loadb(body->data, body->len, 0, NULL);
	rpc->result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	if (!rpc->result)
		verr_set(&rpc->e, VERR_RETRY, "no JSON-RPC, status %ld",
			 status);
}

/* The result of a command without parameters; the caller frees it. */
static json_t *
call(const char *method, const char *parameter, int64_t timeout_ms,
     struct verr *e)
{
	struct rpc rpc = { .e = VERR_INIT };
	struct loop *loop = loop_new(e);
	struct httpc *http = loop ? httpc_new(loop, e) : NULL;
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\","
		 "\"params\":[%s%s%s]}",
		 method, parameter ? "\"" : "", parameter ? parameter : "",
		 parameter ? "\"" : "");
	if (http &&
	    httpc_post(http, conf_str("kamailio_rpc"), "application/json", body,
		       timeout_ms, RPC_LIMIT, on_rpc, &rpc, e) == 0)
		while (!rpc.done && loop_turn(loop, timeout_ms, e) == 0)
			;
	httpc_free(http);
	loop_free(loop);
	if (rpc.done && !rpc.result)
		*e = rpc.e;
	return rpc.result;
}

static double
number(const json_t *value)
{
	return json_is_string(value) ? strtod(json_string_value(value), NULL)
				     : json_number_value(value);
}

static void
add_members(struct probe_result *r, const json_t *object,
	    const char *const (*names)[2])
{
	for (; (*names)[0]; names++) {
		const json_t *value = json_object_get(object, (*names)[0]);

		if (value)
			probe_value(r, (*names)[1], number(value));
	}
}

/* The names of the exporters that are in use. */
static const char *const shm_names[][2] = {
	{ "total", "kamailio_core_shmmem_total" },
	{ "free", "kamailio_core_shmmem_free" },
	{ "used", "kamailio_core_shmmem_used" },
	{ "real_used", "kamailio_core_shmmem_real_used" },
	{ "max_used", "kamailio_core_shmmem_max_used" },
	{ "fragments", "kamailio_core_shmmem_fragments" },
	{ NULL, NULL },
};
static const char *const uptime_names[][2] = {
	{ "uptime", "kamailio_core_uptime_uptime_total" },
	{ NULL, NULL },
};
static const char *const tm_names[][2] = {
	{ "current", "kamailio_tm_stats_current" },
	{ "waiting", "kamailio_tm_stats_waiting" },
	{ "total", "kamailio_tm_stats_total_total" },
	{ "total_local", "kamailio_tm_stats_total_local_total" },
	{ "rpl_received", "kamailio_tm_stats_rpl_received_total" },
	{ "rpl_generated", "kamailio_tm_stats_rpl_generated_total" },
	{ "rpl_sent", "kamailio_tm_stats_rpl_sent_total" },
	{ "delayed_free", "kamailio_tm_stats_delayed_free_total" },
	{ "created", "kamailio_tm_stats_created_total" },
	{ "freed", "kamailio_tm_stats_freed_total" },
	{ "2xx", "kamailio_tm_stats_codes_total{code=\"2xx\"}" },
	{ "3xx", "kamailio_tm_stats_codes_total{code=\"3xx\"}" },
	{ "4xx", "kamailio_tm_stats_codes_total{code=\"4xx\"}" },
	{ "5xx", "kamailio_tm_stats_codes_total{code=\"5xx\"}" },
	{ "6xx", "kamailio_tm_stats_codes_total{code=\"6xx\"}" },
	{ NULL, NULL },
};

static const char *const tcp_names[][2] = {
	{ "readers", "kamailio_core_tcp_info_readers" },
	{ "max_connections", "kamailio_core_tcp_info_max_connections" },
	{ "max_tls_connections", "kamailio_core_tcp_info_max_tls_connections" },
	{ "opened_connections", "kamailio_core_tcp_info_opened_connections" },
	{ "opened_tls_connections",
	  "kamailio_core_tcp_info_opened_tls_connections" },
	{ "write_queued_bytes", "kamailio_core_tcp_info_write_queued_bytes" },
	{ NULL, NULL },
};
static const char *const dialog_names[][2] = {
	{ "starting", "kamailio_dlg_stats_active_starting" },
	{ "connecting", "kamailio_dlg_stats_active_connecting" },
	{ "answering", "kamailio_dlg_stats_active_answering" },
	{ "ongoing", "kamailio_dlg_stats_active_ongoing" },
	{ "all", "kamailio_dlg_stats_active_all" },
	{ NULL, NULL },
};

/* "200", "4xx", "xxx" */
static void
add_codes(struct probe_result *r, const json_t *result)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)result, key, value)
		if (strlen(key) == 3 && strspn(key, "0123456789x") == 3)
			probe_labelled(r, "kamailio_sl_stats_codes_total",
				       "code", key, number(value));
}

static void
add_target(struct probe_result *r, const json_t *set, const json_t *target)
{
	const json_t *at = json_object_get(target, "DEST");
	const char *uri = json_string_value(json_object_get(at, "URI"));
	const char *flags = json_string_value(json_object_get(at, "FLAGS"));
	char metric[400], text[200], letters[16];

	if (!uri || !flags)
		return;
	probe_label(text, sizeof(text), uri);
	probe_label(letters, sizeof(letters), flags);
	snprintf(metric, sizeof(metric),
		 "kamailio_dispatcher_list_target{flags=\"%s\","
		 "setid=\"%.0f\",uri=\"%s\"}",
		 letters, number(json_object_get(set, "ID")), text);
	probe_value(r, metric, 1);
}

static void
add_targets(struct probe_result *r, const json_t *result)
{
	const json_t *sets = json_object_get(result, "RECORDS");

	for (size_t i = 0; i < json_array_size(sets); i++) {
		const json_t *set =
			json_object_get(json_array_get(sets, i), "SET");
		const json_t *targets = json_object_get(set, "TARGETS");

		for (size_t j = 0; j < json_array_size(targets); j++)
			add_target(r, set, json_array_get(targets, j));
	}
}

/* A module that is not loaded has no answer, and no figures. */
static const struct {
	const char *method;
	const char *const (*names)[2];
	void (*add)(struct probe_result *r, const json_t *result);
} rpcs[] = {
	{ "core.uptime", uptime_names, NULL },
	{ "core.shmmem", shm_names, NULL },
	{ "core.tcp_info", tcp_names, NULL },
	{ "tm.stats", tm_names, NULL },
	{ "sl.stats", NULL, add_codes },
	{ "dispatcher.list", NULL, add_targets },
	{ "dlg.stats_active", dialog_names, NULL },
};

void
probe_kamailio_rpc(const struct probe *p, struct probe_result *r)
{
	const int64_t end_ms = loop_now_ms() + p->timeout_ms - 100;
	struct verr e = VERR_INIT;
	json_t *result;
	double uptime = 0;

	for (size_t i = 0; i < sizeof(rpcs) / sizeof(rpcs[0]); i++) {
		int64_t left_ms = end_ms - loop_now_ms();

		if (left_ms <= 0)
			break;
		result = call(rpcs[i].method, NULL, left_ms, &e);
		/* Only the first one is in every Kamailio. */
		if (!result && i == 0) {
			probe_found(r, PROBE_FAILED, "%s", e.msg);
			return;
		}
		if (i == 0)
			uptime = number(json_object_get(result, "uptime"));
		if (rpcs[i].names)
			add_members(r, result, rpcs[i].names);
		else
			rpcs[i].add(r, result);
		json_decref(result);
	}
	probe_found(r, PROBE_OK, "up for %.0f s", uptime);
}
