#include "httpc.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <string.h>

struct taking {
	struct buf *body;
	size_t limit;
};

static size_t
take(char *data, size_t size, size_t n, void *arg)
{
	struct taking *t = arg;
	size_t len = size * n;

	if (!t->body)
		return len;
	if (t->body->len + len > t->limit)
		return 0; /* ends the transfer */
	buf_add(t->body, data, len);
	return buf_failed(t->body) ? 0 : len;
}

static bool
set_options(CURL *curl, const char *url, const char *address,
	    const char *content, int64_t timeout_ms, struct taking *t)
{
	bool ok = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;

	if (content)
		ok = ok && curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
					    content) == CURLE_OK;
	if (strncmp(address, "unix:", 5) == 0)
		ok = ok && curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH,
					    address + 5) == CURLE_OK;
	return ok &&
	       curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http") ==
		       CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ==
		       CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) ==
		       CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

enum verr_kind
httpc_kind(int code)
{
	switch (code) {
	case CURLE_WRITE_ERROR:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		return VERR_INPUT;
	default:
		return VERR_RETRY;
	}
}

static int
ask(const char *address, const char *path, const char *content,
    int64_t timeout_ms, long *status, struct buf *body, size_t limit,
    struct verr *e)
{
	struct taking t = { body, limit };
	struct buf url = BUF_INIT;
	CURL *curl = curl_easy_init();
	CURLcode code;
	int rc = 0;

	if (strncmp(address, "unix:", 5) == 0)
		buf_printf(&url, "http://localhost%s", path);
	else
		buf_printf(&url, "http://%s%s%s",
			   address[0] == ':' ? "127.0.0.1" : "", address, path);
	if (!curl || buf_failed(&url) ||
	    !set_options(curl, url.data, address, content, timeout_ms, &t)) {
		rc = verr_set(e, VERR_RETRY, "out of memory");
		goto out;
	}
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	if (code == CURLE_WRITE_ERROR)
		rc = verr_set(e, httpc_kind((int)code),
			      "the answer from '%s' is too long", address);
	else if (code != CURLE_OK)
		rc = verr_set(e, httpc_kind((int)code),
			      "no answer from '%s': %s", address,
			      curl_easy_strerror(code));
out:
	curl_easy_cleanup(curl);
	buf_release(&url);
	return rc;
}

int
httpc_get(const char *address, const char *path, int64_t timeout_ms,
	  long *status, struct buf *body, size_t limit, struct verr *e)
{
	return ask(address, path, NULL, timeout_ms, status, body, limit, e);
}

int
httpc_send(const char *address, const char *path, const char *content,
	   int64_t timeout_ms, long *status, struct buf *body, size_t limit,
	   struct verr *e)
{
	return ask(address, path, content, timeout_ms, status, body, limit, e);
}

int
httpc_post_url(const char *url, const char *type, const char *body,
	       int64_t timeout_ms, long *status, struct verr *e)
{
	struct taking nothing = { NULL, 0 };
	struct buf head = BUF_INIT;
	struct curl_slist *heads;
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	buf_printf(&head, "Content-Type: %s", type);
	heads = buf_failed(&head) ? NULL : curl_slist_append(NULL, head.data);
	if (curl && heads &&
	    set_options(curl, url, "", body, timeout_ms, &nothing) &&
	    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") ==
		    CURLE_OK &&
	    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, heads) == CURLE_OK)
		code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	curl_slist_free_all(heads);
	curl_easy_cleanup(curl);
	buf_release(&head);
	/* The URL may hold a token. */
	return code == CURLE_OK ? 0
				: verr_set(e, VERR_RETRY, "no answer: %s",
					   curl_easy_strerror(code));
}
