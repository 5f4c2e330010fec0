#include "hapeer.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "hanode.h"
#include "hash.h"
#include "httpc.h"
#include "log.h"

/* What the peer's clock has more than ours. */
static int64_t ahead_ms;

static void
learn_clock(const struct peer_message *m)
{
	struct buf text = BUF_INIT;

	ahead_ms = m->time_ms - ha_real_ms();
	buf_printf(&text, "%lld ms", (long long)ahead_ms);
	log_event(LOG_LEVEL_WARNING, "clocks differ", "by", text.data, NULL);
	buf_release(&text);
}

int
ha_peer_answer(long status, const struct buf *answer, const unsigned char *key,
	       const char *question, const char *nonce, struct ha_state *peer,
	       struct verr *e)
{
	const char *address = conf_str("peer_address");
	struct peer_message m;

	if (buf_failed(answer))
		return verr_set(e, VERR_RETRY, "out of memory");
	if (peer_read(answer->data, key, PEER_ANSWER, question, ha_real_ms(),
		      nonce, &m) != PEER_GOOD)
		return verr_set(e, VERR_CONFIG,
				"the answer %ld of peer '%s' is not signed "
				"with our key\n"
				"hint: the file '%s' must be the same on both "
				"nodes",
				status, address, conf_str("peer_key_file"));
	if (status != 200 && strcmp(m.body, HA_PEER_CLOCKS) == 0)
		learn_clock(&m);
	if (status != 200)
		return verr_set(e, VERR_CONFLICT, "peer '%s' refuses: %.300s",
				address, m.body);
	return ha_state_read(m.body, peer, e);
}

int
ha_peer_request(const char *question, const unsigned char *key, struct buf *url,
		struct buf *request, char nonce[PEER_NONCE], struct verr *e)
{
	buf_printf(url, "http://%s/peer/%s", conf_str("peer_address"),
		   question);
	if (buf_failed(url))
		return verr_set(e, VERR_RETRY, "out of memory");
	if (peer_nonce(nonce, e) == -1)
		return -1;
	return peer_write(request, key, PEER_REQUEST, question,
			  ha_real_ms() + ahead_ms, nonce, "{}", e);
}

static int
ask_once(const char *question, int64_t timeout_ms, struct ha_state *peer,
	 struct verr *e)
{
	struct buf url = BUF_INIT, request = BUF_INIT, answer = BUF_INIT;
	unsigned char key[SECRET_KEY];
	char nonce[PEER_NONCE], path[64];
	long status = 0;
	int rc;

	memset(peer, 0, sizeof(*peer));
	if (secret_read_key(key, conf_str("peer_key_file"), e) == -1)
		return -1;
	snprintf(path, sizeof(path), "/peer/%s", question);
	rc = ha_peer_request(question, key, &url, &request, nonce, e);
	if (rc == 0)
		rc = httpc_send(conf_str("peer_address"), path, request.data,
				timeout_ms, &status, &answer, PEER_BODY_MAX, e);
	if (rc == 0)
		rc = ha_peer_answer(status, &answer, key, question, nonce, peer,
				    e);
	hash_wipe(key, sizeof(key));
	buf_release(&url);
	buf_release(&request);
	buf_release(&answer);
	return rc;
}

int
ha_peer_ask(const char *question, int64_t timeout_ms, struct ha_state *peer,
	    struct verr *e)
{
	int64_t before = ahead_ms;
	int rc = ask_once(question, timeout_ms, peer, e);

	if (rc == -1 && ahead_ms != before)
		rc = ask_once(question, timeout_ms, peer, e);
	return rc;
}
