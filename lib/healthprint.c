#include <inttypes.h>
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "health.h"
#include "pairfile.h"

int
health_print(const struct health *h, FILE *file, enum out_format format,
	     struct verr *e)
{
	static const struct out_column columns[] = {
		{ "probe", OUT_TEXT },     { "class", OUT_TEXT },
		{ "state", OUT_SEVERITY }, { "ms", OUT_NUMBER },
		{ "detail", OUT_TEXT },
	};
	struct out *o = out_begin(file, format, columns, 5, e);
	char ms[24];

	if (!o)
		return -1;
	for (size_t i = 0; i < probe_count(); i++) {
		const struct probe_result *r = &h->results[i];
		const char *const values[] = {
			probes[i].name,
			probe_class_word(probe_class_of(&probes[i])),
			probe_state_word(r->state),
			ms,
			r->detail,
		};

		snprintf(ms, sizeof(ms), "%" PRId64, r->took_ms);
		out_row(o, values);
	}
	return out_end(o, e);
}

/* Whatever asks a database that is not there is in no need of its own advice.
 */
static bool
has_no_database(const struct health *h, const struct probe *p)
{
	for (size_t i = 0; i < probe_count(); i++)
		if (probes[i].run == probe_database)
			return h->results[i].state == PROBE_FAILED &&
			       p->run != probe_database && p->setting &&
			       strcmp(p->setting, probes[i].setting) == 0;
	return false;
}

void
health_print_remedies(const struct health *h)
{
	char line[512];

	for (size_t i = 0; i < probe_count(); i++) {
		if (h->results[i].state <= PROBE_OFF ||
		    has_no_database(h, &probes[i]))
			continue;
		snprintf(line, sizeof(line), "%s: %s", probes[i].name,
			 probes[i].remedy);
		out_line(h->results[i].state == PROBE_FAILED ? '-' : '~', line);
	}
}

/* Only what is in one line of the plugin interface: no '|' in the text. */
static void
add_plain(struct buf *b, const char *text)
{
	for (; *text; text++)
		buf_putc(b, *text == '|' || (unsigned char)*text < ' ' ? ' '
								       : *text);
}

int
health_print_nagios(const struct health *h, int *status, struct verr *e)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL" };
	struct buf b = BUF_INIT, text = BUF_INIT;
	int bad = 0, off = 0, rc;
	struct verdict v;

	health_judge(h, &v);
	*status = 0;
	for (size_t i = 0; i < probe_count(); i++) {
		const struct probe_result *r = &h->results[i];

		off += r->state == PROBE_OFF;
		if (r->state <= PROBE_OFF)
			continue;
		buf_puts(&text, bad++ ? "; " : "");
		add_plain(&text, probes[i].name);
		buf_puts(&text, ": ");
		add_plain(&text, r->detail);
		if (*status == 0)
			*status = 1;
		if (r->state == PROBE_FAILED)
			*status = 2;
	}
	buf_printf(&b, "VOIP %s - %s, %s%s", words[*status], v.role,
		   !v.fit   ? "unfit"
		   : v.held ? "held"
			    : "fit",
		   bad ? ": " : "");
	buf_add(&b, text.data, text.len);
	buf_printf(&b, " | bad=%d;0 probes=%zu", bad,
		   probe_count() - (size_t)off);
	for (size_t i = 0; i < probe_count(); i++)
		if (h->results[i].state != PROBE_OFF)
			buf_printf(&b, " %s=%" PRId64 "ms", probes[i].name,
				   h->results[i].took_ms);
	buf_putc(&b, '\n');
	rc = buf_failed(&b) || buf_failed(&text)
		     ? verr_set(e, VERR_RETRY, "out of memory")
		     : out_verbatim(b.data, b.len, e);
	buf_release(&b);
	buf_release(&text);
	return rc;
}

/* What keepalived and voip-failover would make of it. */
void
health_print_outcome(const struct health *h)
{
	struct pairfile_peer peer;
	const char *why = "";
	struct verdict v;
	char line[512];
	char sign = '+';

	health_judge(h, &v);
	pairfile_peer(&peer);
	if (v.held) {
		sign = '~';
		snprintf(line, sizeof(line),
			 "held: it stays where it is (%.300s)", v.cause);
	} else if (v.fit) {
		snprintf(line, sizeof(line), "fit: nothing moves");
	} else if (!*conf_str("peer_address")) {
		sign = '-';
		snprintf(line, sizeof(line),
			 "unfit: keepalived goes to FAULT, and there is no "
			 "peer to take over (peer_address is empty)");
	} else if (pairfile_is_worse(&peer, false, "", &why)) {
		sign = '-';
		snprintf(line, sizeof(line),
			 "unfit: keepalived goes to FAULT, but %s", why);
	} else {
		sign = '-';
		snprintf(
			line, sizeof(line), "unfit: keepalived goes to FAULT%s",
			v.has_address ? ", the peer takes the address and is "
					"promoted, PostgreSQL is stopped here"
				      : "; the address is not here, so nothing "
					"moves");
	}
	out_line(sign, line);
}
