#include "peerwire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define MAGIC "voip-peer 1 "
/* More well-signed requests than a peer sends in two windows. */
#define REMEMBERED 4096

static struct {
	char nonce[PEER_NONCE];
	int64_t time_ms;
} seen[REMEMBERED];

int
peer_nonce(char nonce[PEER_NONCE], struct verr *e)
{
	unsigned char random[(PEER_NONCE - 1) / 2];

	if (hash_random(random, sizeof(random), e) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static int
sign(char mac[HASH_SHA256_HEX], const unsigned char *key,
     enum peer_direction direction, const char *name, int64_t time_ms,
     const char *nonce, const char *body, struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;

	buf_printf(&b, "%s %s %" PRId64 " %s\n%s",
		   direction == PEER_REQUEST ? "request" : "answer", name,
		   time_ms, nonce, body);
	rc = buf_failed(&b)
		     ? verr_set(e, VERR_RETRY, "out of memory")
		     : hash_hmac_hex(mac, key, SECRET_KEY, b.data, b.len, e);
	buf_release(&b);
	return rc;
}

int
peer_write(struct buf *out, const unsigned char key[SECRET_KEY],
	   enum peer_direction direction, const char *name, int64_t now_ms,
	   const char *nonce, const char *body, struct verr *e)
{
	char mac[HASH_SHA256_HEX];

	if (sign(mac, key, direction, name, now_ms, nonce, body, e) == -1)
		return -1;
	buf_printf(out, MAGIC "%" PRId64 " %s %s\n%s", now_ms, nonce, mac,
		   body);
	return buf_failed(out) ? verr_set(e, VERR_RETRY, "out of memory") : 0;
}

/* The next word of a line, which ends with a space or is the last. */
static char *
word(char **p, size_t len)
{
	char *start = *p, *end = start ? start + strcspn(start, " ") : NULL;

	if (!end || (len && (size_t)(end - start) != len))
		return NULL;
	*p = *end ? end + 1 : NULL;
	*end = '\0';
	return start;
}

/* Is this nonce new?  The oldest makes room: whatever is outside of the window
 * is refused by its time. */
static bool
remember(const char *nonce, int64_t time_ms)
{
	size_t oldest = 0;

	for (size_t i = 0; i < REMEMBERED; i++) {
		if (strcmp(seen[i].nonce, nonce) == 0)
			return false;
		if (seen[i].time_ms < seen[oldest].time_ms)
			oldest = i;
	}
	memcpy(seen[oldest].nonce, nonce, PEER_NONCE);
	seen[oldest].time_ms = time_ms;
	return true;
}

static enum peer_verdict
judge(const struct peer_message *m, int64_t now_ms, const char *nonce)
{
	/* The answer to our own nonce is of now, whatever a clock says. */
	if (nonce)
		return strcmp(m->nonce, nonce) == 0 ? PEER_GOOD : PEER_FORGED;
	if (m->time_ms < now_ms - PEER_WINDOW_MS ||
	    m->time_ms > now_ms + PEER_WINDOW_MS)
		return PEER_LATE;
	return remember(m->nonce, m->time_ms) ? PEER_GOOD : PEER_REPLAY;
}

enum peer_verdict
peer_read(char *text, const unsigned char key[SECRET_KEY],
	  enum peer_direction direction, const char *name, int64_t now_ms,
	  const char *nonce, struct peer_message *m)
{
	char mac[HASH_SHA256_HEX], *p = text, *time, *given, *their_nonce, *end;
	char *body = strchr(text, '\n');
	struct verr ignored = VERR_INIT;

	*m = (struct peer_message){ .body = "" };
	if (!body || strncmp(text, MAGIC, strlen(MAGIC)) != 0)
		return PEER_FORGED;
	*body++ = '\0';
	p += strlen(MAGIC);
	time = word(&p, 0);
	their_nonce = word(&p, PEER_NONCE - 1);
	given = word(&p, HASH_SHA256_HEX - 1);
	if (!time || !their_nonce || !given || p)
		return PEER_FORGED;
	m->time_ms = strtoll(time, &end, 10);
	if (*end || m->time_ms <= 0)
		return PEER_FORGED;
	memcpy(m->nonce, their_nonce, PEER_NONCE);
	m->body = body;
	if (sign(mac, key, direction, name, m->time_ms, m->nonce, body,
		 &ignored) == -1 ||
	    !hash_equal(mac, sizeof(mac) - 1, given, HASH_SHA256_HEX - 1))
		return PEER_FORGED;
	return judge(m, now_ms, nonce);
}
