/* voip-failover: which node is primary, and seeing to it. */

#include <popt.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "db.h"
#include "hacommand.h"
#include "hafollow.h"
#include "hahistory.h"
#include "hanode.h"
#include "hanotify.h"
#include "haoperate.h"
#include "hapatroni.h"
#include "hareport.h"
#include "hasplit.h"
#include "haswitch.h"
#include "log.h"
#include "loop.h"
#include "opt.h"
#include "out.h"
#include "pgnode.h"
#include "pgreport.h"
#include "verr.h"

static int wait_seconds = 60;

/* clang-format off */
static const struct poptOption options[] = {
	{ "dot", '\0', POPT_ARG_NONE, &ha_dot, 0,
	  "table: as a graph for dot(1)", NULL },
	{ "dry-run", 'n', POPT_ARG_NONE, &ha_dry_run, 0,
	  "switchover: only look whether anything would stop it", NULL },
	{ "for", '\0', POPT_ARG_STRING, &ha_for, 0,
	  "maintenance on: how long (1h)", "TIME" },
	{ "policy", '\0', POPT_ARG_STRING, &ha_policy, 0,
	  "rejoin: rewind, or reclone without trying to rewind", "WORD" },
	{ "reason", '\0', POPT_ARG_STRING, &ha_reason, 0,
	  "maintenance on, fence, unfence: for the journal", "TEXT" },
	{ "steps", '\0', POPT_ARG_NONE, &ha_steps_wanted, 0,
	  "table: the steps, and what a node does that was killed in one",
	  NULL },
	{ "wait", 'w', POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT,
	  &wait_seconds, 0,
	  "promote: wait for the first write at most this long, 0: not at all",
	  "SECONDS" },
	POPT_TABLEEND
};
/* clang-format on */

static int
cmd_status(int argc, const char **argv, struct verr *e)
{
	enum out_format format;
	struct db *db;
	int status;

	(void)argc;
	(void)argv;
	if (out_format_from_options(&format, e) == -1)
		return -1;
	db = ha_node_connection(0, e);
	if (!db)
		return -1;
	status = pgreport(db, conf_str("postgresql_data_directory"), stdout,
			  format, ha_report, e);
	db_free(db);
	return status;
}

static int
cmd_promote(int argc, const char **argv, struct verr *e)
{
	struct pgnode node;
	struct db *db;
	int64_t start_ms = loop_now_ms();
	char text[sizeof(node.name) + 128];
	struct ha_told told = { .name = node.name, .text = text };
	bool was_primary;
	int status = -1;

	(void)argc;
	(void)argv;
	if (wait_seconds < 0 || wait_seconds > 86400)
		return verr_set(e, VERR_USAGE,
				"--wait takes 0 to 86400 seconds, not %d",
				wait_seconds);
	if (*conf_str("peer_address") || ha_is_patroni())
		return ha_cmd_promote(e);
	db = ha_node_connection(0, e);
	if (!db)
		return -1;
	if (pgnode_look(db, &node, e) == -1) {
		verr_wrap(e, "cannot promote this node");
		goto out;
	}
	if (!node.primary && node.streaming)
		log_warning("'%s' still receives from %s: stop that primary, "
			    "or both take writes",
			    node.name, node.upstream);
	was_primary = node.primary;
	if (pgnode_promote(db, &node, wait_seconds * INT64_C(1000), e) == -1)
		goto out;
	if (was_primary)
		snprintf(text, sizeof(text),
			 "%s: primary already, timeline %lld", node.name,
			 (long long)node.timeline);
	else if (!node.primary)
		snprintf(text, sizeof(text), "%s: asked to promote", node.name);
	else
		snprintf(text, sizeof(text),
			 "%s: promoted, timeline %lld, writable after %.3f s",
			 node.name, (long long)node.timeline,
			 (double)(loop_now_ms() - start_ms) / 1000);
	if (node.primary && *node.sync_standbys)
		log_warning("commits wait for synchronous_standby_names '%s'",
			    node.sync_standbys);
	told.role = node.primary ? "primary" : "standby";
	told.timeline = node.timeline;
	status = ha_tell(&told, 1, e);
out:
	db_free(db);
	return status;
}

static int
cmd_follow(int argc, const char **argv, struct verr *e)
{
	static const struct service_face face = { .listen = buf_empty };

	return service_run(&ha_follow, &face, argc, argv, e);
}

/* clang-format off */
static const struct opt_command commands[] = {
	{ "status", "", "role, timeline, lag, standbys and slots", 0, 0,
	  cmd_status },
	{ "promote", "", "make this standby the primary", 0, 0, cmd_promote },
	{ "demote", "", "stop writing, as if the address had gone", 0, 0,
	  ha_cmd_demote },
	{ "switchover", "", "make the peer the primary, nothing is lost", 0, 0,
	  ha_cmd_switchover },
	{ "rejoin", "", "come back as a standby of the peer", 0, 0,
	  ha_cmd_rejoin },
	{ "fence", "", "make the peer stop writing", 0, 0, ha_cmd_fence },
	{ "unfence", "", "allow this node to start as a primary", 0, 0,
	  ha_cmd_unfence },
	{ "split-brain", "show|salvage [DIRECTORY]",
	  "what only this node has, and bringing it to safety", 1, 2,
	  ha_cmd_split_brain },
	{ "maintenance", "on|off", "for a while do nothing by itself", 1, 1,
	  ha_cmd_maintenance },
	{ "may-start", "", "whether PostgreSQL may start now, for its unit", 0,
	  0, ha_cmd_may_start },
	{ "follow", "", "the service: act upon keepalived and the peer", 0, 0,
	  cmd_follow },
	{ "notify", "TYPE NAME STATE PRIORITY",
	  "act upon one state, for keepalived without a FIFO", 4, 4,
	  ha_cmd_notify },
	{ "explain", "", "what is known, and what follows from it", 0, 0,
	  ha_cmd_explain },
	{ "table", "", "every decision, in the order in which they are tried",
	  0, 0, ha_cmd_table },
	{ "history", "", "what was done, the latest last", 0, 0,
	  ha_cmd_history },
	{ 0 },
};
/* clang-format on */

/* Whoever asks what a command would do does not want it done. */
static int
suits(const char *command, struct verr *e)
{
	if (!ha_dry_run || strcmp(command, "switchover") == 0)
		return 0;
	return verr_set(e, VERR_USAGE,
			"--dry-run is for switchover, not for %s\n"
			"hint: 'voip-failover explain' tells what is known "
			"and what follows",
			command);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.summary = "Which node is primary: show it, and see to it.",
		.options = options,
		.commands = commands,
		.suits = suits,
		.formats = true,
	};

	return opt_main(argc, argv, &program);
}
