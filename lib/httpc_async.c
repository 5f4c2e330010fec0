#include <curl/curl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "httpc.h"

struct request {
	struct httpc *client;
	CURL *curl;
	struct curl_slist *headers;
	struct buf answer;
	size_t limit;
	httpc_done_fn fn;
	void *arg;
	struct request *next;
	struct request **link; /* what points to it */
};

struct httpc {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct request *requests;
};

static size_t
take(char *data, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	size_t len = size * n;

	if (len > r->limit - r->answer.len)
		return 0; /* ends the transfer */
	buf_add(&r->answer, data, len);
	return buf_failed(&r->answer) ? 0 : len;
}

static void
request_free(struct request *r)
{
	if (r->link) {
		curl_multi_remove_handle(r->client->multi, r->curl);
		*r->link = r->next;
		if (r->next)
			r->next->link = r->link;
	}
	curl_easy_cleanup(r->curl);
	curl_slist_free_all(r->headers);
	buf_release(&r->answer);
	free(r);
}

static void
finish(struct request *r, CURLcode code)
{
	struct verr e = VERR_INIT;
	const char *url = "";
	long status = 0;

	curl_easy_getinfo(r->curl, CURLINFO_EFFECTIVE_URL, &url);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_WRITE_ERROR)
		verr_set(&e, httpc_kind((int)code),
			 "the answer from '%s' is too long", url);
	else if (code != CURLE_OK)
		verr_set(&e, httpc_kind((int)code), "no answer from '%s': %s",
			 url, curl_easy_strerror(code));
	r->fn(status, &r->answer, code == CURLE_OK ? NULL : &e, r->arg);
	request_free(r);
}

/* Those that have ended; a callback may start others. */
static void
collect(struct httpc *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct request *r = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
		finish(r, code);
	}
}

static void
on_event(int fd, unsigned events, void *arg)
{
	struct httpc *h = arg;
	int mask = 0, running;

	if (events & (EPOLLIN | EPOLLHUP))
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	curl_multi_socket_action(h->multi, fd, mask, &running);
	collect(h);
}

static void
on_timer(void *arg)
{
	struct httpc *h = arg;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

/* libcurl says what it waits for; `known` is set once the loop has it. */
static int
watch(CURL *curl, curl_socket_t fd, int what, void *arg, void *known)
{
	static const unsigned masks[] = {
		[CURL_POLL_IN] = EPOLLIN,
		[CURL_POLL_OUT] = EPOLLOUT,
		[CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
	};
	struct httpc *h = arg;
	struct verr e = VERR_INIT;

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		loop_remove_fd(h->loop, fd);
		return 0;
	}
	if (known) {
		loop_modify_fd(h->loop, fd, masks[what]);
		return 0;
	}
	if (loop_add_fd(h->loop, fd, masks[what], on_event, h, &e) == -1)
		return -1;
	curl_multi_assign(h->multi, fd, h);
	return 0;
}

static int
set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct httpc *h = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_clear(h->loop, &h->timer);
	else
		loop_timer_set(h->loop, &h->timer, timeout_ms);
	return 0;
}

struct httpc *
httpc_new(struct loop *l, struct verr *e)
{
	struct httpc *h = calloc(1, sizeof(*h));

	if (!h || !(h->multi = curl_multi_init())) {
		free(h);
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	h->loop = l;
	h->timer = (struct loop_timer){ .fn = on_timer, .arg = h };
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return h;
}

void
httpc_free(struct httpc *h)
{
	if (!h)
		return;
	for (struct request *r = h->requests, *next; r; r = next) {
		next = r->next;
		request_free(r);
	}
	curl_multi_cleanup(h->multi);
	loop_timer_clear(h->loop, &h->timer);
	free(h);
}

static bool
set_options(struct request *r, const char *url, const char *type,
	    const char *body, int64_t timeout_ms)
{
	CURL *c = r->curl;
	struct buf header = BUF_INIT;

	buf_printf(&header, "Content-Type: %s", type);
	/* no question first whether the body is welcome */
	r->headers = curl_slist_append(NULL, "Expect:");
	if (r->headers && !buf_failed(&header) &&
	    !curl_slist_append(r->headers, header.data))
		header.failed = true;
	if (!r->headers || buf_failed(&header)) {
		buf_release(&header);
		return false;
	}
	buf_release(&header);
	return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->headers) ==
		       CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, body) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, r) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PRIVATE, r) == CURLE_OK;
}

int
httpc_post(struct httpc *h, const char *url, const char *type, const char *body,
	   int64_t timeout_ms, size_t limit, httpc_done_fn fn, void *arg,
	   struct verr *e)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return verr_set(e, VERR_RETRY, "out of memory");
	r->client = h;
	r->answer = BUF_INIT;
	r->limit = limit;
	r->fn = fn;
	r->arg = arg;
	r->curl = curl_easy_init();
	if (!r->curl || !set_options(r, url, type, body, timeout_ms) ||
	    curl_multi_add_handle(h->multi, r->curl) != CURLM_OK) {
		request_free(r);
		return verr_set(e, VERR_RETRY, "out of memory");
	}
	r->next = h->requests;
	r->link = &h->requests;
	if (r->next)
		r->next->link = &r->next;
	h->requests = r;
	return 0;
}
