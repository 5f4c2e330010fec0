#include "hatorn.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "filereplace.h"
#include "siphash.h"

#define CONTROL_MAX 65536
#define OPEN_MAX    32

int
ha_control_digest(const char *directory, char digest[HASH_SHA256_HEX],
		  struct verr *e)
{
	struct buf text = BUF_INIT;
	char path[4096];
	int rc;

	snprintf(path, sizeof(path), "%s/global/pg_control", directory);
	rc = file_read(path, CONTROL_MAX, &text, e);
	if (rc == 0)
		rc = hash_sha256_hex(digest, text.data, text.len, e);
	buf_release(&text);
	return rc;
}

/* nftw(3) has no argument for its function. */
static uint64_t sum;

/*
 * Whoever writes to a file changes its ctime, whatever the clock says.  What
 * marks a standby is ours, and no part of the database.
 */
static int
add_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	static const struct siphash_key key = { { 0, 0 } };
	const int64_t facts[] = {
		(int64_t)st->st_ino,
		(int64_t)st->st_size,
		(int64_t)st->st_ctim.tv_sec,
		(int64_t)st->st_ctim.tv_nsec,
	};

	if (kind != FTW_F || strcmp(path + where->base, "pg_control") == 0 ||
	    strcmp(path + where->base, "standby.signal") == 0)
		return 0;
	sum += siphash(&key, facts, sizeof(facts)) ^
	       siphash(&key, path, strlen(path));
	return 0;
}

/* "FILES CONTROL", of the data directory as it is. */
static int
describe(char *text, size_t size, struct verr *e)
{
	const char *directory = conf_str("postgresql_data_directory");
	char digest[HASH_SHA256_HEX];

	if (ha_control_digest(directory, digest, e) == -1)
		return -1;
	sum = 0;
	if (nftw(directory, add_file, OPEN_MAX, 0) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot look through '%s'",
				directory);
	snprintf(text, size, "%016" PRIx64 " %.40s", sum, digest);
	return 0;
}

int
ha_torn_begin(struct ha_kept *k, struct verr *e)
{
	if (describe(k->torn, sizeof(k->torn), e) == -1)
		return -1;
	return ha_kept_save(k, e);
}

bool
ha_torn_is(const struct ha_kept *k)
{
	const char *then = strchr(k->torn, ' '), *now;
	struct verr ignored = VERR_INIT;
	char text[sizeof(k->torn)];

	if (!then)
		return false;
	/* Nobody knows: it is not started. */
	if (describe(text, sizeof(text), &ignored) == -1)
		return true;
	now = strchr(text, ' ');
	return strcmp(text, k->torn) != 0 && now && strcmp(now, then) == 0;
}

bool
ha_torn_peer(const struct ha_state *peer)
{
	return (peer->pg & (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)) &&
	       *peer->kept.torn && !*peer->kept.doing;
}

bool
ha_torn_end(struct ha_kept *k, bool well)
{
	if (!well && ha_torn_is(k))
		return true;
	*k->torn = '\0';
	return false;
}
