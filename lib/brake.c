#include "brake.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "hash.h"
#include "log.h"
#include "metrics.h"
#include "network.h"
#include "siphash.h"

#define SETS            4096 /* a power of two */
#define WAYS            4
#define TOKEN           1000 /* parts of one */
#define NETWORKS_MAX    256
#define LIST_SEPARATORS " ,"

enum kind { UNKNOWN, ADDRESS, USER, KINDS };

static const struct {
	const char *setting;
	const char *reason;
	enum metric counter;
} kinds[KINDS] = {
	[UNKNOWN] = { "brake_unknown", "unknown", METRIC_BRAKE_UNKNOWN },
	[ADDRESS] = { "brake_address", "address", METRIC_BRAKE_ADDRESS },
	[USER] = { "brake_user", "user", METRIC_BRAKE_USER },
};

struct bucket {
	uint64_t tag; /* 0: empty */
	int64_t at_ms;
	int64_t said_ms;
	uint32_t tokens; /* parts, at at_ms */
	uint8_t kind;
};

struct networks {
	struct network at[NETWORKS_MAX];
	size_t count;
};

struct brake {
	struct siphash_key seed;
	int64_t window_ms;
	uint32_t limits[KINDS]; /* parts of a token */
	struct networks configured;
	struct networks told;
	struct bucket (*sets)[WAYS];
};

/* Who tries: nothing of it comes from a phone but its address. */
struct who {
	char text[INET6_ADDRSTRLEN]; /* "" without an address */
	unsigned char bytes[16];
	size_t len;
};

/* --- addresses -------------------------------------------------------- */

static void
read_address(struct who *who, const char *text)
{
	unsigned char v6[16];

	who->len = 0;
	who->text[0] = '\0';
	if (!text)
		return;
	if (inet_pton(AF_INET, text, who->bytes) == 1) {
		who->len = 4;
		inet_ntop(AF_INET, who->bytes, who->text, sizeof(who->text));
	} else if (inet_pton(AF_INET6, text, v6) == 1) {
		memcpy(who->bytes, v6, 8); /* a site has a /64 */
		who->len = 8;
		inet_ntop(AF_INET6, v6, who->text, sizeof(who->text));
	}
}

static bool
has(const struct networks *list, const char *address)
{
	for (size_t i = 0; i < list->count; i++)
		if (network_has(&list->at[i], address))
			return true;
	return false;
}

static bool
is_exempt(const struct brake *b, const struct who *who)
{
	return who->len &&
	       (has(&b->configured, who->text) || has(&b->told, who->text));
}

static void
add_network(struct networks *to, const char *name, const char *text)
{
	if (to->count == NETWORKS_MAX)
		log_error("%s: more than %d networks", name, NETWORKS_MAX);
	else if (!network_parse(&to->at[to->count], text))
		log_error("%s: '%s' is no address or network", name, text);
	else
		to->count++;
}

static void
add_list(struct networks *to, const char *setting)
{
	const char *list = conf_str(setting);
	char one[64];

	for (list += strspn(list, LIST_SEPARATORS); *list;
	     list += strspn(list, LIST_SEPARATORS)) {
		size_t len = strcspn(list, LIST_SEPARATORS);

		snprintf(one, sizeof(one), "%.*s", (int)len, list);
		add_network(to, setting, one);
		list += len;
	}
}

void
brake_trust(struct brake *b, const char *const *addresses, size_t count)
{
	b->told.count = 0;
	for (size_t i = 0; i < count; i++)
		add_network(&b->told, "trusted addresses", addresses[i]);
}

/* --- buckets ---------------------------------------------------------- */

static uint64_t
tag_of(const struct brake *b, enum kind kind, const struct who *who,
       const struct brake_login *login)
{
	char key[512];
	int n = 0;

	if (kind == USER)
		n = snprintf(key, sizeof(key) - sizeof(who->bytes) - 1,
			     "%.64s@%.256s", login->user, login->domain);
	for (int i = 0; i < n; i++)
		if (key[i] >= 'A' && key[i] <= 'Z')
			key[i] = (char)(key[i] - 'A' + 'a');
	key[n++] = (char)kind;
	memcpy(key + n, who->bytes, who->len);
	return siphash(&b->seed, key, (size_t)n + who->len) | 1;
}

static uint32_t
tokens_now(const struct brake *b, const struct bucket *k, int64_t now_ms)
{
	int64_t limit = b->limits[k->kind], past = now_ms - k->at_ms;

	if (past >= b->window_ms || k->tokens >= limit)
		return (uint32_t)limit;
	past = k->tokens + limit * past / b->window_ms;
	return (uint32_t)(past < limit ? past : limit);
}

static struct bucket *
bucket_of(struct brake *b, enum kind kind, uint64_t tag, int64_t now_ms)
{
	struct bucket *set = b->sets[tag >> 32 & (SETS - 1)], *k = set;

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].tag == tag)
			return &set[i];
	for (size_t i = 1; i < WAYS && k->tag; i++)
		if (!set[i].tag ||
		    tokens_now(b, &set[i], now_ms) > tokens_now(b, k, now_ms))
			k = &set[i];
	*k = (struct bucket){ .tag = tag,
			      .kind = (uint8_t)kind,
			      .at_ms = now_ms,
			      .said_ms = now_ms - b->window_ms,
			      .tokens = b->limits[kind] };
	return k;
}

/* Once for each bucket and window. */
static void
say(const struct brake *b, struct bucket *k, enum kind kind,
    const struct who *who, const struct brake_login *login, int64_t now_ms)
{
	metric_add(kinds[kind].counter, 1);
	if (now_ms - k->said_ms < b->window_ms)
		return;
	k->said_ms = now_ms;
	log_event(LOG_LEVEL_WARNING, "brake", "address",
		  who->len ? who->text : "unknown", "reason",
		  kinds[kind].reason, "user", login->user, "domain",
		  login->domain, NULL);
}

/* False when the bucket is empty; takes a token when there is one. */
static bool
take(struct brake *b, enum kind kind, const struct who *who,
     const struct brake_login *login, int64_t now_ms, uint32_t tokens)
{
	struct bucket *k;
	uint32_t left;

	if (!b->limits[kind] || (kind != USER && !who->len))
		return true;
	k = bucket_of(b, kind, tag_of(b, kind, who, login), now_ms);
	left = tokens_now(b, k, now_ms);
	if (left < TOKEN) {
		say(b, k, kind, who, login, now_ms);
		return false;
	}
	k->tokens = left - tokens;
	k->at_ms = now_ms;
	return true;
}

const char *
brake_try(struct brake *b, const struct brake_login *login, int64_t now_ms)
{
	struct who who;

	read_address(&who, login->address);
	if (is_exempt(b, &who))
		return NULL;
	if (!take(b, UNKNOWN, &who, login, now_ms, 0))
		return "too many unknown users from this address";
	if (!take(b, ADDRESS, &who, login, now_ms, TOKEN))
		return "too many logins from this address";
	if (!take(b, USER, &who, login, now_ms, TOKEN))
		return "too many logins of this user";
	return NULL;
}

void
brake_unknown(struct brake *b, const struct brake_login *login, int64_t now_ms)
{
	struct who who;
	struct bucket *k;

	read_address(&who, login->address);
	if (is_exempt(b, &who) || !b->limits[UNKNOWN] || !who.len)
		return;
	k = bucket_of(b, UNKNOWN, tag_of(b, UNKNOWN, &who, login), now_ms);
	k->tokens = tokens_now(b, k, now_ms);
	k->tokens -= k->tokens < TOKEN ? k->tokens : TOKEN;
	k->at_ms = now_ms;
}

/* --- life ------------------------------------------------------------- */

void
brake_reload(struct brake *b)
{
	b->window_ms = conf_ms("brake_window");
	for (size_t i = 0; i < KINDS; i++)
		b->limits[i] = (uint32_t)conf_int(kinds[i].setting) * TOKEN;
	b->configured.count = 0;
	add_list(&b->configured, "brake_exempt");
	add_list(&b->configured, "trusted_proxies");
}

struct brake *
brake_new(struct verr *e)
{
	struct brake *b = calloc(1, sizeof(*b));

	if (b)
		b->sets = calloc(SETS, sizeof(*b->sets));
	if (!b || !b->sets) {
		brake_free(b);
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	if (hash_random(&b->seed, sizeof(b->seed), e) == -1) {
		brake_free(b);
		return NULL;
	}
	brake_reload(b);
	return b;
}

void
brake_free(struct brake *b)
{
	if (!b)
		return;
	free(b->sets);
	free(b);
}
