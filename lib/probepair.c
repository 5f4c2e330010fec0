/* The pair: the virtual address, keepalived, the peer. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "filereplace.h"
#include "network.h"
#include "pairfile.h"
#include "probe.h"

/* The interface that has it, or "". */
static void
find_interface(const struct network *wanted, char *name, size_t size)
{
	struct ifaddrs *all = NULL;
	char text[INET6_ADDRSTRLEN];

	*name = '\0';
	if (getifaddrs(&all) == -1)
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct sockaddr *a = i->ifa_addr;
		const void *at = NULL;

		if (a && a->sa_family == AF_INET)
			at = &((const struct sockaddr_in *)(const void *)a)
				      ->sin_addr;
		else if (a && a->sa_family == AF_INET6)
			at = &((const struct sockaddr_in6 *)(const void *)a)
				      ->sin6_addr;
		if (at && inet_ntop(a->sa_family, at, text, sizeof(text)) &&
		    network_has(wanted, text))
			snprintf(name, size, "%s", i->ifa_name);
	}
	freeifaddrs(all);
}

void
probe_address(const struct probe *p, struct probe_result *r)
{
	char address[64], interface[IF_NAMESIZE];
	enum ha_vrrp vrrp = pairfile_vrrp();
	struct network wanted;

	/* As keepalived has it, with or without a prefix. */
	snprintf(address, sizeof(address), "%s", conf_str(p->setting));
	address[strcspn(address, "/")] = '\0';
	if (!network_parse(&wanted, address)) {
		probe_found(r, PROBE_WARNING, "'%s' is no address", address);
		return;
	}
	find_interface(&wanted, interface, sizeof(interface));
	r->has_address = *interface != '\0';
	probe_value(r, "voip_virtual_address", r->has_address);
	if (r->has_address && vrrp != HA_VRRP_MASTER && vrrp != HA_VRRP_NONE)
		probe_found(r, PROBE_FAILED,
			    "%s is on %s, but keepalived said %s", address,
			    interface, ha_vrrp_word(vrrp));
	else if (!r->has_address && vrrp == HA_VRRP_MASTER)
		probe_found(r, PROBE_FAILED,
			    "%s is not here, but keepalived said MASTER",
			    address);
	else
		probe_found(r, PROBE_OK, "%s is %s%s", address,
			    r->has_address ? "on " : "not here", interface);
}

/*
 * Killed it says nothing, and leaves its PID behind.  A file that is not there
 * proves nothing: it is written where its options say.
 */
static bool
has_died(const char *path)
{
	struct verr ignored = VERR_INIT;
	struct buf b = BUF_INIT;
	pid_t pid = 0;

	if (*path && file_read(path, 64, &b, &ignored) == 0)
		pid = (pid_t)strtol(b.data, NULL, 10);
	buf_release(&b);
	return pid > 1 && kill(pid, 0) == -1 && errno == ESRCH;
}

void
probe_keepalived(const struct probe *p, struct probe_result *r)
{
	enum ha_vrrp vrrp = pairfile_vrrp();

	(void)p;
	for (int v = HA_VRRP_MASTER; v < HA_VRRPS; v++)
		probe_labelled(r, "voip_keepalived_state", "state",
			       ha_vrrp_word((enum ha_vrrp)v), v == (int)vrrp);
	if (has_died(conf_str("keepalived_pid_file")))
		probe_found(r, PROBE_FAILED,
			    "it was killed: '%.100s' names no process, its last"
			    " word was %s",
			    conf_str("keepalived_pid_file"),
			    ha_vrrp_word(vrrp));
	else if (vrrp == HA_VRRP_NONE)
		probe_found(r, PROBE_WARNING,
			    "it has told voip-failover nothing so far");
	else
		probe_found(r,
			    vrrp == HA_VRRP_MASTER || vrrp == HA_VRRP_BACKUP
				    ? PROBE_OK
				    : PROBE_WARNING,
			    "%s", ha_vrrp_word(vrrp));
}

void
probe_peer(const struct probe *p, struct probe_result *r)
{
	struct pairfile_peer peer;
	const char *why = "";
	bool worse;

	(void)p;
	pairfile_peer(&peer);
	worse = pairfile_is_worse(&peer, false, "", &why);
	if (peer.known)
		probe_value(r, "voip_peer_up", peer.answers);
	if (!peer.known)
		probe_found(r, PROBE_WARNING,
			    "nothing is known: voip-failover does not ask");
	else if (!peer.answers)
		probe_found(r, PROBE_FAILED, "no answer: %.200s", peer.why);
	else
		probe_found(r, worse ? PROBE_WARNING : PROBE_OK,
			    "%s: %s of timeline %" PRId64 ", %s%s%s",
			    peer.state.name, ha_role_word(peer.state.pg),
			    peer.state.timeline,
			    *peer.state.health ? peer.state.health : "unknown",
			    worse ? ": " : "", why);
}
