#include "reloadkamailio.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "reloadplan.h"

#define WORDS_MAX   4
#define COMMAND_MAX 1024
#define NOT_FOUND   404 /* htable.delete of a key that is not there */

/* What may be refused because it is too soon; a table is there or is not. */
static bool
is_reload(const char *command)
{
	size_t len = strcspn(command, " ");

	return strncmp(command, "htable.", 7) != 0 && len > 6 &&
	       strncasecmp(command + len - 6, "reload", 6) == 0;
}

static void
done(long code, const char *message, const struct verr *why, void *arg)
{
	struct reload_kamailio *k = arg;
	enum reload_outcome outcome = RELOAD_REFUSED;
	struct verr e = VERR_INIT;

	if (why) {
		reload_peer_done(&k->peer, RELOAD_AWAY, 0, why);
		return;
	}
	verr_set(&e, VERR_CONFIG, "%ld %s", code, message);
	if (code == 0 || code == NOT_FOUND)
		outcome = RELOAD_DONE;
	else if (is_reload(reload_peer_asked(&k->peer)))
		outcome = RELOAD_AGAIN;
	reload_peer_done(&k->peer, outcome, 0, &e);
}

/* Anything that cannot be sent at all is told by the loop. */
static void
send_command(struct reload_peer *p, const char *command)
{
	struct reload_kamailio *k = (struct reload_kamailio *)p;
	char copy[COMMAND_MAX], *next = copy;
	const char *words[WORDS_MAX];
	struct verr e = VERR_INIT;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", command);
	while (next && n < WORDS_MAX)
		words[n++] = strsep(&next, " ");
	if (jsonrpc_call(&k->call, k->http, k->url, words, n, k->timeout_ms,
			 &e) == -1)
		reload_peer_done(p, RELOAD_AWAY, 0, &e);
}

static void
put(enum reload_to to, const char *command, void *arg)
{
	(void)to;
	reload_peer_put(arg, command);
}

static void
resync(struct reload_peer *p)
{
	reload_plan_resync(RELOAD_KAMAILIO, put, p);
}

int
reload_kamailio_init(struct reload_kamailio *k, struct loop *l, struct verr *e)
{
	const char *url = conf_str("kamailio_rpc");

	if (strncmp(url, "http://", 7) != 0 || strlen(url) >= sizeof(k->url))
		return verr_set(e, VERR_CONFIG,
				"kamailio_rpc is '%.128s'\n"
				"hint: http://ADDRESS:PORT/RPC",
				url);
	snprintf(k->url, sizeof(k->url), "%s", url);
	k->call = (struct jsonrpc){ done, k };
	k->timeout_ms = conf_ms("reload_timeout");
	k->http = httpc_new(l, e);
	if (!k->http)
		return -1;
	k->peer.name = reload_to_name(RELOAD_KAMAILIO);
	k->peer.loop = l;
	k->peer.send = send_command;
	k->peer.resync = resync;
	reload_peer_init(&k->peer);
	return 0;
}

void
reload_kamailio_release(struct reload_kamailio *k)
{
	if (!k->http)
		return;
	httpc_free(k->http);
	k->http = NULL;
	reload_peer_release(&k->peer);
}
