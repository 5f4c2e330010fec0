#include "kamailioconf.h"

#include <stdbool.h>
#include <string.h>

#include "conf.h"

#define LETTERS  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS   "0123456789"
#define ADDRESS  DIGITS "abcdefABCDEF.:[]"
#define FILENAME LETTERS DIGITS "/._-"

enum form {
	NUMBER,     /* as it is */
	SECONDS,    /* of a duration, rounded up */
	SECONDS_IN, /* the same inside a string */
	MILLISECONDS,
	PIECE,   /* text inside a string or an address */
	SWITCH,  /* there or not: a boolean */
	IF_TEXT, /* there when the text is not empty, or not 0 */
};

/* clang-format off */
static const struct word {
	const char *name;
	const char *setting;
	enum form form;
	const char *alphabet; /* of a PIECE */
} words[] = {
	{ "SIP_ADDRESS", "kamailio_address", PIECE, ADDRESS },
	{ "SIP_PORT", "kamailio_port", PIECE, DIGITS },
	{ "WITH_TCP", "kamailio_tcp", SWITCH, NULL },
	{ "TCP_IDLE", "kamailio_tcp_idle", SECONDS, NULL },
	{ "WITH_TLS", "kamailio_tls_port", IF_TEXT, NULL },
	{ "TLS_PORT", "kamailio_tls_port", PIECE, DIGITS },
	{ "TLS_CERTIFICATE", "kamailio_tls_certificate", PIECE, FILENAME },
	{ "TLS_KEY", "kamailio_tls_key", PIECE, FILENAME },
	{ "WITH_PEER", "kamailio_peer", IF_TEXT, NULL },
	{ "PEER_ADDRESS", "kamailio_peer", PIECE, ADDRESS },
	{ "NODE_ADDRESS", "kamailio_node", PIECE, ADDRESS },
	{ "NODE_PORT", "kamailio_node_port", PIECE, DIGITS },
	{ "SERVER_ID", "kamailio_server", NUMBER, NULL },
	{ "CHILDREN", "kamailio_workers", NUMBER, NULL },
	{ "TCP_CHILDREN", "kamailio_tcp_workers", NUMBER, NULL },
	{ "LOG_LEVEL", "kamailio_log_level", NUMBER, NULL },
	{ "REGISTER_MIN", "kamailio_register_min", SECONDS, NULL },
	{ "REGISTER_MAX", "kamailio_register_max", SECONDS, NULL },
	{ "CONTACTS", "kamailio_contacts", NUMBER, NULL },
	{ "FLUSH_TIME", "kamailio_flush", SECONDS, NULL },
	{ "NUMBER_TTL", "kamailio_number_ttl", SECONDS_IN, NULL },
	{ "ACCOUNT_TTL", "kamailio_account_ttl", SECONDS_IN, NULL },
	{ "NEGATIVE_TTL", "kamailio_negative_ttl", SECONDS, NULL },
	{ "STALE_FOR", "kamailio_stale_for", SECONDS_IN, NULL },
	{ "FLOOD_REQUESTS", "kamailio_flood_requests", NUMBER, NULL },
	{ "FLOOD_WINDOW", "kamailio_flood_window", SECONDS, NULL },
	{ "FLOOD_BAN", "kamailio_flood_ban", SECONDS_IN, NULL },
	{ "NAT_PING", "kamailio_nat_ping", SECONDS, NULL },
	{ "DISPATCHER_PING", "kamailio_node_ping", SECONDS, NULL },
	{ "DISPATCHER_THRESHOLD", "kamailio_node_threshold", NUMBER, NULL },
	{ "MEDIA_TIMEOUT", "kamailio_node_timeout", MILLISECONDS, NULL },
	{ "WITH_ACCOUNTING", "kamailio_accounting", SWITCH, NULL },
	{ .name = NULL },
};
/* clang-format on */

static int
check(const char *setting, const char *value, size_t len, const char *alphabet,
      struct verr *e)
{
	size_t good = strspn(value, alphabet);

	if (good >= len)
		return 0;
	return verr_set(e, VERR_CONFIG,
			"%s: '%c' cannot stand in Kamailio's configuration\n"
			"hint: %s",
			setting, value[good],
			strcmp(alphabet, ADDRESS) == 0
				? "an address, not a name; IPv6 in brackets"
				: "letters, digits and a few signs");
}

static void
piece(struct buf *out, const char *name, const char *value, size_t len)
{
	buf_printf(out, "#!substdef \"!%s!%.*s!g\"\n", name, (int)len, value);
}

static int
write_word(struct buf *out, const struct word *w, struct verr *e)
{
	const char *text = conf_str(w->setting);
	bool empty = *text == '\0' || strcmp(text, "0") == 0;

	switch (w->form) {
	case NUMBER:
		buf_printf(out, "#!define %s %ld\n", w->name,
			   conf_int(w->setting));
		return 0;
	case SECONDS:
	case SECONDS_IN:
		buf_printf(out,
			   w->form == SECONDS ? "#!define %s %lld\n"
					      : "#!substdef \"!%s!%lld!g\"\n",
			   w->name,
			   (long long)(conf_ms(w->setting) + 999) / 1000);
		return 0;
	case MILLISECONDS:
		buf_printf(out, "#!define %s %lld\n", w->name,
			   (long long)conf_ms(w->setting));
		return 0;
	case PIECE:
		if (empty)
			return 0;
		if (check(w->setting, text, strlen(text), w->alphabet, e) == -1)
			return -1;
		piece(out, w->name, text, strlen(text));
		return 0;
	case SWITCH:
		if (conf_bool(w->setting))
			buf_printf(out, "#!define %s\n", w->name);
		return 0;
	case IF_TEXT:
		if (!empty)
			buf_printf(out, "#!define %s\n", w->name);
		return 0;
	}
	return 0;
}

/* http://ADDRESS:PORT/RPC, which voip-reload uses too. */
static int
write_http(struct buf *out, struct verr *e)
{
	const char *url = conf_str("kamailio_rpc");
	const char *address = url + strlen("http://"), *port, *end;

	if (strncmp(url, "http://", 7) != 0 || !(end = strchr(address, '/')) ||
	    !(port = memrchr(address, ':', (size_t)(end - address))) ||
	    strcmp(end, "/RPC") != 0)
		return verr_set(e, VERR_CONFIG,
				"kamailio_rpc is '%.128s'\n"
				"hint: http://ADDRESS:PORT/RPC",
				url);
	if (check("kamailio_rpc", address, (size_t)(port - address), ADDRESS,
		  e) == -1 ||
	    check("kamailio_rpc", port + 1, (size_t)(end - port - 1), DIGITS,
		  e) == -1)
		return -1;
	piece(out, "HTTP_ADDRESS", address, (size_t)(port - address));
	piece(out, "HTTP_PORT", port + 1, (size_t)(end - port - 1));
	return 0;
}

/*
 * Kamailio's URL cannot name several hosts or options: libpq's words go by
 * con_param, which overrides what the URL says.  The timeouts are ours, since
 * without them a silent server holds a worker for ever.
 */
static int
write_database(struct buf *out, struct verr *e)
{
	const char *text = conf_str("kamailio_database"), *value;
	size_t len;

	buf_puts(out, "#!substdef \"!DB_URL!postgres://kamailio@localhost/"
		      "voip_platform!g\"\n"
		      "#!substdef \"!DB_OPTIONS!connect_timeout='2';"
		      "tcp_user_timeout='3000';keepalives_idle='10';"
		      "keepalives_interval='3';keepalives_count='3';"
		      "application_name='kamailio'");
	for (; *text; text += len) {
		text += strspn(text, " ");
		len = strcspn(text, " ");
		if (len == 0)
			break;
		value = memchr(text, '=', len);
		if (!value || strncmp(text, "password=", 9) == 0)
			return verr_set(e, VERR_CONFIG,
					"kamailio_database: '%.*s'\n"
					"hint: NAME=VALUE words; a password "
					"belongs into a passfile",
					value ? (int)(value - text) : (int)len,
					text);
		value++;
		if (check("kamailio_database", text, (size_t)(value - 1 - text),
			  LETTERS "_", e) == -1 ||
		    check("kamailio_database", value,
			  len - (size_t)(value - text), FILENAME ",:", e) == -1)
			return -1;
		buf_printf(out, ";%.*s='%.*s'", (int)(value - 1 - text), text,
			   (int)(len - (size_t)(value - text)), value);
	}
	buf_puts(out, "!g\"\n#!define DB_TIMEOUT 2\n"
		      "#!substdef \"!DB_BREAK!10!g\"\n");
	return 0;
}

int
kamailioconf_write(struct buf *out, struct verr *e)
{
	long workers = conf_int("kamailio_workers");

	buf_puts(out, "# Written by voip-config(8) from voip.conf(5): change "
		      "the settings, not this file.\n");
	for (const struct word *w = words; w->name; w++)
		if (write_word(out, w, e) == -1)
			return -1;
	if (write_http(out, e) == -1 || write_database(out, e) == -1)
		return -1;
	/* Some workers never wait for the database. */
	buf_printf(out, "#!define DB_WORKERS %ld\n",
		   workers > 3 ? workers - workers / 4 : workers);
	if (buf_failed(out))
		return verr_set(e, VERR_RETRY, "out of memory");
	return 0;
}
