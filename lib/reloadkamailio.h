/*
 * reloadkamailio: Kamailio as one of voip-reload's peers.
 *
 * Layer domain.  Sends each command to `kamailio_rpc` (jsonrpc.h).  A key that
 * is not in a table is as good as deleted.  A reload that is refused is tried
 * again: the permissions module takes one in five seconds (reload_delta), and
 * one that reads a database may find it away.
 */
#ifndef RELOADKAMAILIO_H
#define RELOADKAMAILIO_H

#include "httpc.h"
#include "jsonrpc.h"
#include "reloadpeer.h"

struct reload_kamailio {
	struct reload_peer peer; /* the caller sets idle and arg */
	struct httpc *http;
	struct jsonrpc call; /* the one under way */
	int64_t timeout_ms;
	char url[512];
};

int
reload_kamailio_init(struct reload_kamailio *k, struct loop *l, struct verr *e);
/* Nothing for one that was never made. */
void reload_kamailio_release(struct reload_kamailio *k);

#endif
