#include "conftable.h"

#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define MIB    (INT64_C(1) << 20)
#define TIB    (INT64_C(1) << 40)

#define STRING(name, value, help)                          \
	{                                                  \
		name, CONF_STRING, value, 0, 0, NULL, help \
	}
#define SECRET(name, help)                              \
	{                                               \
		name, CONF_SECRET, "", 0, 0, NULL, help \
	}
#define INT(name, value, min, max, help)                    \
	{                                                   \
		name, CONF_INT, value, min, max, NULL, help \
	}
#define DURATION(name, value, min, max, help)                    \
	{                                                        \
		name, CONF_DURATION, value, min, max, NULL, help \
	}
#define SIZE(name, value, min, max, help)                    \
	{                                                    \
		name, CONF_SIZE, value, min, max, NULL, help \
	}
#define BOOL(name, value, help)                          \
	{                                                \
		name, CONF_BOOL, value, 0, 0, NULL, help \
	}
#define CHOICE(name, value, words, help)                    \
	{                                                   \
		name, CONF_CHOICE, value, 0, 0, words, help \
	}

/* clang-format off */
const struct conf_row conf_rows[] = {
	STRING("database", "dbname=voip_platform",
	       "libpq connection string; PG* variables fill the rest"),
	DURATION("database_timeout", "5s", 10, HOUR,
		 "longest wait for the answer to one request"),
	DURATION("database_connect_timeout", "2s", 10, HOUR,
		 "longest wait for each database host"),
	DURATION("database_wait", "30s", 0, DAY,
		 "how long a starting service waits for the database"),
	DURATION("database_backoff", "1s", 1, HOUR,
		 "pause after a failed connection attempt"),
	DURATION("watch_probe", "5s", 10, HOUR,
		 "how often voip-watch asks whether its server is well"),

	CHOICE("log_level", "info", "error warning info debug",
	       "the least important messages that are logged"),
	CHOICE("log_format", "text", "text json", "form of a log line"),
	CHOICE("log_target", "auto", "auto stderr journal",
	       "lines for a plain standard error or for the journal"),

	DURATION("idle_exit", "60s", 0, DAY,
		 "idle time after which an activated service exits; 0: never"),
	DURATION("http_head_timeout", "10s", 10, HOUR,
		 "total time for the head of a request"),
	DURATION("http_timeout", "30s", 10, HOUR,
		 "total time for the body of a request and its answer"),
	INT("http_connections", "1024", 1, 65536,
	    "connections open at the same time"),

	STRING("dirxml_listen", "127.0.0.1:8081",
	       "address of voip-dirxml without socket activation"),
	SECRET("dirxml_credentials",
	       "user:password that FreeSWITCH must give to voip-dirxml"),
	INT("dirxml_cacheable", "0", 0, DAY,
	    "milliseconds that FreeSWITCH may keep an answer; 0: none"),
	DURATION("dirxml_deadline", "1500ms", 10, HOUR,
		 "how long a lookup waits for the database before it is 503"),
	INT("dirxml_connections", "2", 1, 64,
	    "connections to the database that lookups may share"),
	SIZE("dirxml_cache_size", "96M", MIB, TIB,
	     "memory for answers of voip-dirxml"),
	DURATION("dirxml_directory_ttl", "300s", 1, DAY,
		 "how long an answer of the directory is kept"),
	DURATION("dirxml_extension_ttl", "60s", 1, DAY,
		 "how long an answer about a number is kept"),
	DURATION("dirxml_negative_ttl", "5s", 0, HOUR,
		 "how long it is remembered that there is no such thing"),
	DURATION("dirxml_stale_for", "1h", 0, 30 * DAY,
		 "how long an answer may be used while the database is away"),
	STRING("dirxml_state_dir", "/var/lib/voip/dirxml",
	       "directory where answers survive a restart; empty: none"),
	DURATION("dirxml_snapshot_interval", "60s", 0, DAY,
		 "how often new answers are written there; 0: at the end"),
	INT("brake_unknown", "30", 0, 1000000,
	    "unknown users that an address may try in a window; 0: any"),
	INT("brake_address", "600", 0, 1000000,
	    "logins that an address may try in a window; 0: any"),
	INT("brake_user", "60", 0, 1000000,
	    "logins of one user that an address may try; 0: any"),
	DURATION("brake_window", "60s", 10, DAY,
		 "the window of the brakes"),
	STRING("brake_exempt", "127.0.0.0/8, ::1",
	       "addresses and networks that are never braked"),
	CHOICE("registrar", "kamailio", "kamailio freeswitch",
	       "where the phones register"),
	STRING("proxy", "127.0.0.1:5060",
	       "address of the proxy in dial-strings (fs_path)"),
	STRING("user_context", "default",
	       "dialplan context of users that have none of their own"),

	STRING("trusted_proxies", "127.0.0.1",
	       "addresses and networks whose X-VOIP headers are believed"),
	DURATION("ring_time", "30s", SECOND, HOUR,
		 "how long a user's phones ring before voicemail or the end"),
	STRING("voicemail_number", "*97",
	       "number of a caller's own voicemail box; empty: none"),
	STRING("recordings_dir", "/var/lib/freeswitch/recordings",
	       "directory in which FreeSWITCH records calls"),
	STRING("gateway_profile", "internal",
	       "SIP profile of FreeSWITCH that has the trunks as gateways"),
	STRING("queue_music", "local_stream://moh",
	       "music of queues that have none which can be played"),
	BOOL("agents_available", "yes",
	     "whether the agents of a queue are available when it is loaded"),

	STRING("cdr_listen", "127.0.0.1:8082",
	       "address of voip-cdr-ingest without socket activation"),
	SECRET("cdr_credentials",
	       "user:password that FreeSWITCH must give to voip-cdr-ingest"),
	STRING("cdr_spool_dir", "/var/spool/voip/cdr",
	       "directory for CDRs while the database is away"),
	SIZE("cdr_spool_limit", "1G", MIB, 1024 * TIB,
	     "size at which the spool refuses more"),
	STRING("cdr_import_dir", "/var/log/freeswitch/json_cdr",
	       "where mod_json_cdr leaves what it could not post"),
	DURATION("cdr_import_age", "10m", 0, 365 * DAY,
		 "age at which a file that is not complete never will be"),
	INT("cdr_batch_size", "100", 1, 10000,
	    "CDRs that are written in one transaction"),
	DURATION("cdr_batch_timeout", "5s", 0, HOUR,
		 "longest time that a batch may take to fill"),
	INT("cdr_workers", "1", 1, 64, "voip-cdr-flush at work at once, over all nodes"),
	DURATION("cdr_deadline", "3s", 10, HOUR,
		 "how long a request waits for its commit before it is spooled"),
	CHOICE("cdr_durability", "replicated", "replicated local",
	       "what must have a CDR before it counts as stored"),
	DURATION("cdr_keep", "400d", DAY, 36500 * DAY,
		 "age from which a CDR is refused as a dead letter"),
	DURATION("cdr_keep_raw", "0s", 0, 3650 * DAY,
		 "how long the bodies of CDRs are kept beside them; 0s: not"),
	DURATION("cdr_anonymise", "0s", 0, 36500 * DAY,
		 "age at which the numbers of a CDR are erased; 0s: never"),
	DURATION("cdr_keep_dead", "90d", 0, 36500 * DAY,
		 "how long dead letters are kept; 0s: for ever"),
	DURATION("cdr_keep_imported", "30d", 0, 36500 * DAY,
		 "how long imported files are kept; 0s: for ever"),
	DURATION("audit_keep", "730d", 0, 36500 * DAY,
		 "how long changes of the directory are kept; 0s: for ever"),
	DURATION("recordings_keep", "0s", 0, 36500 * DAY,
		 "how long entries of gone recordings are kept; 0s: for ever"),
	INT("prune_ahead", "3", 0, 120,
	    "partitions that are made ahead: months of CDRs, days of bodies"),
	INT("prune_batch", "1000", 1, 100000,
	    "rows that are removed in one transaction"),
	STRING("prune_dump_dir", "",
	       "directory for partitions before they are dropped; empty: none"),
	CHOICE("prune_dump_format", "csv", "csv jsonl",
	       "form of what is written there, compressed by gzip"),
	DURATION("prune_lock_wait", "10s", 100, 3600 * 1000,
		 "how long a lock on the records is tried for"),

	STRING("kamailio_rpc", "http://127.0.0.1:8060/RPC",
	       "where Kamailio takes JSON-RPC over HTTP; empty: nowhere"),
	STRING("kamailio_number_tables", "ext extst",
	       "htables of numbers in kamailio.cfg, the cache first"),
	STRING("kamailio_account_tables", "auth authst",
	       "htables of accounts in kamailio.cfg, the cache first"),
	STRING("kamailio_address", "127.0.0.1",
	       "address of SIP: the one that moves between the nodes"),
	INT("kamailio_port", "5060", 1, 65535, "port of SIP over UDP and TCP"),
	BOOL("kamailio_tcp", "yes", "whether phones may use TCP"),
	DURATION("kamailio_tcp_idle", "60s", SECOND, DAY,
		 "how long a connection that showed no password may be idle"),
	INT("kamailio_tls_port", "0", 0, 65535,
	    "port of SIP over TLS; 0: none"),
	STRING("kamailio_tls_certificate", "/etc/kamailio/certificate.pem",
	       "certificate that TLS shows"),
	STRING("kamailio_tls_key", "/etc/kamailio/key.pem", "its private key"),
	STRING("kamailio_peer", "",
	       "other node's address, told of registrations; empty: none"),
	STRING("kamailio_node", "127.0.0.1",
	       "this node's own address, for that"),
	INT("kamailio_node_port", "5062", 1, 65535,
	    "port of both nodes, for that"),
	INT("kamailio_server", "1", 1, 65535, "a number for each proxy"),
	STRING("kamailio_database", "host=/run/postgresql dbname=voip_platform",
	       "where Kamailio finds the database, in libpq's words"),
	INT("kamailio_workers", "16", 1, 256, "processes for SIP over UDP"),
	INT("kamailio_tcp_workers", "4", 1, 256,
	    "processes for SIP over TCP and TLS, and for HTTP"),
	INT("kamailio_log_level", "1", -1, 4,
	    "what Kamailio logs, from -1 (errors) to 4 (all)"),
	DURATION("kamailio_register_min", "60s", SECOND, DAY,
		 "shortest time that a phone may register for"),
	DURATION("kamailio_register_max", "3600s", SECOND, DAY,
		 "longest time that a phone may register for"),
	INT("kamailio_contacts", "5", 0, 1000,
	    "phones of one account where nothing else is said; 0: any"),
	DURATION("kamailio_flush", "10s", SECOND, HOUR,
		 "how often registrations and calls are written"),
	DURATION("kamailio_number_ttl", "60s", SECOND, DAY,
		 "how long an answer about a number is kept"),
	DURATION("kamailio_account_ttl", "300s", SECOND, DAY,
		 "how long an account is kept"),
	DURATION("kamailio_negative_ttl", "10s", SECOND, HOUR,
		 "how long it is kept that there is no such thing"),
	DURATION("kamailio_stale_for", "24h", SECOND, 30 * DAY,
		 "how long an answer may be used while the database is away"),
	INT("kamailio_flood_requests", "30", 1, 100000,
	    "requests of one address in a window that are no flood"),
	DURATION("kamailio_flood_window", "2s", SECOND, HOUR,
		 "that window"),
	DURATION("kamailio_flood_ban", "120s", SECOND, DAY,
		 "how long a flood's address gets no answer"),
	DURATION("kamailio_nat_ping", "30s", SECOND, HOUR,
		 "how often phones behind NAT are asked for an answer"),
	DURATION("kamailio_node_ping", "15s", SECOND, HOUR,
		 "how often media servers and gateways are asked"),
	INT("kamailio_node_threshold", "3", 1, 100,
	    "answers that must be missing before a node is down"),
	DURATION("kamailio_node_timeout", "1500ms", 100, MINUTE,
		 "how long a node may be silent before a call goes elsewhere"),
	BOOL("kamailio_accounting", "yes",
	     "whether calls are written to kamailio.acc, not only to the log"),
	STRING("freeswitch_event_socket", "127.0.0.1:8021",
	       "address of FreeSWITCH's event socket; empty: none"),
	SECRET("freeswitch_password",
	       "password of the event socket; empty: ClueCon"),
	DURATION("freeswitch_gateway_wait", "2s", 0, MINUTE,
		 "how long a killed gateway takes to go before the rescan"),
	DURATION("reload_timeout", "5s", 10, HOUR,
		 "longest wait for an answer of Kamailio or FreeSWITCH"),

	STRING("health_listen", "127.0.0.1:8083",
	       "address of voip-health without socket activation"),
	STRING("health_fatal", "",
	       "further probes whose failure moves the address"),
	STRING("kamailio_sip", "",
	       "ADDRESS:PORT at which Kamailio answers OPTIONS; empty: none"),
	STRING("health_profiles", "",
	       "SIP profiles that FreeSWITCH must run"),
	DURATION("health_queue_age", "5m", 0, DAY,
		 "CDRs that wait longer for voip-cdr-flush are a warning"),
	SIZE("health_lag_bytes", "16M", 0, TIB,
	     "a standby that is further behind is a warning"),
	STRING("health_disks", "/",
	       "paths on disks that need room; empty: none"),
	STRING("health_tmpfs", "", "paths on tmpfs that need room"),
	INT("health_room", "10", 1, 99,
	    "percent of room below which a disk is a warning"),
	DURATION("health_clock", "1s", 0, HOUR,
		 "error of the clock above which it is a warning; 0: any"),
	STRING("health_certificates", "", "files of certificates, PEM"),
	DURATION("health_certificate_left", "21d", 0, 365 * DAY,
		 "time before its end at which a certificate is a warning"),
	STRING("health_units", "",
	       "services that must run, see service.NAME.status"),
	STRING("lsyncd_status", "", "status file of lsyncd; empty: none"),
	INT("health_lsyncd_delays", "1000", 0, 1000000000,
	    "changes that wait for lsyncd above which it is a warning"),
	STRING("virtual_address", "",
	       "the address that keepalived moves; empty: none"),
	STRING("keepalived_pid_file", "/run/keepalived.pid",
	       "PID file of keepalived; empty: none"),
	STRING("secret_key_file", "/etc/voip/secret.key",
	       "key for secrets that must be sent to others"),
	STRING("node_database", "dbname=voip_platform",
	       "libpq connection string to this node's own PostgreSQL"),
	STRING("postgresql_data_directory", "",
	       "data directory of the local PostgreSQL; empty: ask the server"),

	STRING("node_name", "", "name of this node; empty: the host's"),
	STRING("health_dir", "/run/voip",
	       "directory of the verdict and the track files of keepalived"),
	STRING("failover_fifo", "/run/voip/keepalived.fifo",
	       "notify FIFO of keepalived"),
	STRING("failover_state_dir", "/var/lib/voip/failover",
	       "directory of the journal and what must survive a reboot"),
	STRING("peer_listen", "127.0.0.1:8084",
	       "address where voip-failover answers its peer"),
	STRING("peer_address", "",
	       "where the peer's voip-failover answers; empty: a single node"),
	STRING("peer_key_file", "/etc/voip/peer.key",
	       "key that signs what the two nodes say to each other"),
	DURATION("peer_timeout", "200ms", 10, MINUTE,
		 "longest wait for a word of the peer"),
	STRING("peer_replication", "",
	       "libpq connection string to the peer's own PostgreSQL"),
	STRING("peer_slot", "",
	       "replication slot for the peer; empty: none is made"),
	STRING("own_slot", "",
	       "replication slot of this node at the peer; empty: none"),
	DURATION("fence_timeout", "2s", 10, HOUR,
		 "longest wait until the peer has stopped writing"),
	STRING("fence_command", "",
	       "command that makes a silent peer stop, e.g. its power"),
	CHOICE("failover_policy", "consistency", "consistency availability",
	       "what counts more when nobody can tell where the peer is"),
	STRING("witnesses", "",
	       "addresses (ping) or ADDRESS:PORT (connect) beyond the pair"),
	DURATION("witness_timeout", "150ms", 10, MINUTE,
		 "longest wait for a witness"),
	DURATION("self_fence_after", "300ms", 50, HOUR,
		 "a primary without peer and witnesses stops after this"),
	STRING("postgresql_service", "postgresql",
	       "name of PostgreSQL in service.NAME.start and its siblings"),
	STRING("postgresql_bin_dir", "/usr/lib/postgresql/15/bin",
	       "directory of pg_ctl, pg_rewind and pg_basebackup"),
	STRING("postgresql_config_file", "",
	       "postgresql.conf when it is not in the data directory"),
	STRING("failover_services", "",
	       "services that only the primary runs, in their order"),
	STRING("standby_services", "",
	       "services that a standby runs, in their order"),
	BOOL("freeswitch_recover", "no",
	     "after a promotion have FreeSWITCH recover the calls of its"
	     " shared core database"),
	DURATION("service_timeout", "30s", 10, HOUR,
		 "longest time to start or stop a service"),
	CHOICE("rejoin_policy", "rewind", "rewind reclone stop",
	       "how a former primary comes back: the most that is tried"),
	INT("rejoin_copies", "2", 0, 100,
	    "old data directories that are kept"),
	DURATION("rejoin_salvage", "5m", 0, DAY,
		 "longest time to save the rows of an old directory; 0s: not"),

	INT("diagnostics_kept", "20", 1, 1000,
	    "files about faults that are kept in failover_state_dir"),
	CHOICE("ha_engine", "own", "own patroni",
	       "who decides which PostgreSQL is primary"),
	STRING("patroni_address", "127.0.0.1:8008",
	       "where this node's Patroni answers, with ha_engine=patroni"),

	CHOICE("sync_mode", "async", "async sync-or-degrade strict",
	       "whether commits wait for the standby"),
	STRING("drain_command", "",
	       "command that lets no new calls in before a switchover"),
	STRING("drain_count", "", "command that prints how many calls go on"),
	STRING("drain_records", "",
	       "command that prints how many call records wait, beside those"
	       " of the spool"),
	STRING("drain_undo", "", "command that takes calls again"),
	DURATION("drain_time", "0s", 0, DAY,
		 "how long a stop waits for the end of calls"),
	DURATION("switchover_time", "60s", 1000, HOUR,
		 "longest time until both nodes say that a switchover is done"),
	SECRET("alert_url", "URL that is sent each alert, as JSON"),
	STRING("alert_command", "", "command that is run for each alert"),

	STRING("service.*.start", "", "command that starts a service"),
	STRING("service.*.stop", "", "command that stops a service"),
	STRING("service.*.kill", "", "command that kills a service"),
	STRING("service.*.status", "",
	       "command that succeeds while a service runs"),
	{ .name = NULL },
};
/* clang-format on */

const struct conf_row *
conf_row_find(const char *name)
{
	for (const struct conf_row *row = conf_rows; row->name; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

const char *
conf_row_suggest(const char *name)
{
	unsigned best = (unsigned)strlen(name) / 3 + 1, distance;
	const char *found = NULL;

	for (const struct conf_row *row = conf_rows; row->name; row++) {
		distance = conf_value_distance(name, row->name);
		if (distance <= best) {
			best = distance - (distance > 0);
			found = row->name;
		}
	}
	return found;
}
