/* hatorn: what pg_rewind leaves when it is cut off is told from all else. */

#include "hatorn.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "unit.h"

static char dir[] = "/tmp/voip-torn.XXXXXX";

static const char *const files[] = { "data/global/pg_control", "data/base/1",
				     "data/standby.signal", "state.json" };
static const char *const dirs[] = { "data/global", "data/base", "data" };

static void
in_dir(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void
put(const char *name, const char *text)
{
	char path[64];
	FILE *f;

	in_dir(path, sizeof(path), name);
	f = fopen(path, "w");
	if (CHECK(f != NULL)) {
		fputs(text, f);
		fclose(f);
	}
}

static struct ha_kept
begin(void)
{
	struct ha_kept k = { .fenced = true };
	struct verr e = VERR_INIT;

	put("data/global/pg_control", "before");
	put("data/base/1", "rows");
	CHECK(ha_torn_begin(&k, &e) == 0);
	/* Whoever looks after a kill knows the same. */
	memset(&k, 0, sizeof(k));
	CHECK(ha_kept_load(&k, &e) == 0);
	CHECK(k.fenced && *k.torn);
	return k;
}

static void
test_untouched(void)
{
	struct ha_kept k = { .fenced = true };

	CHECK(!ha_torn_is(&k));
	k = begin();
	CHECK(!ha_torn_is(&k));
	put("data/standby.signal", "");
	CHECK(!ha_torn_is(&k));
	CHECK(!ha_torn_end(&k, false));
	CHECK_STR(k.torn, "");
}

static void
test_cut_off(void)
{
	struct ha_kept k = begin();

	put("data/base/1", "");
	CHECK(ha_torn_is(&k));
	CHECK(ha_torn_end(&k, false));
	CHECK(ha_torn_is(&k));
	/* The same length is no excuse. */
	k = begin();
	put("data/base/1", "swor");
	CHECK(ha_torn_is(&k));
	/* Somebody put another one in its place. */
	put("data/global/pg_control", "after");
	CHECK(!ha_torn_is(&k));
}

static void
test_done(void)
{
	struct ha_kept k = begin();

	put("data/base/1", "other");
	put("data/global/pg_control", "after");
	CHECK(!ha_torn_is(&k));
	CHECK(!ha_torn_end(&k, true));
	CHECK_STR(k.torn, "");
}

static void
test_nobody_knows(void)
{
	struct ha_kept k = begin();
	struct verr e = VERR_INIT;
	char path[64];

	in_dir(path, sizeof(path), files[0]);
	unlink(path);
	CHECK(ha_torn_is(&k));
	CHECK(ha_torn_begin(&k, &e) == -1);
}

int
main(void)
{
	struct verr e = VERR_INIT;
	char path[64];

	if (!CHECK(mkdtemp(dir) != NULL))
		return unit_end();
	for (size_t i = COUNT(dirs); i--;) {
		in_dir(path, sizeof(path), dirs[i]);
		CHECK(mkdir(path, 0700) == 0);
	}
	in_dir(path, sizeof(path), "data");
	setenv("VOIP_POSTGRESQL_DATA_DIRECTORY", path, 1);
	setenv("VOIP_FAILOVER_STATE_DIR", dir, 1);
	conf_set_file("/dev/null");
	CHECK(conf_load(&e) == 0);
	test_untouched();
	test_cut_off();
	test_done();
	test_nobody_knows();
	for (size_t i = 0; i < COUNT(files); i++) {
		in_dir(path, sizeof(path), files[i]);
		unlink(path);
	}
	for (size_t i = 0; i < COUNT(dirs); i++) {
		in_dir(path, sizeof(path), dirs[i]);
		rmdir(path);
	}
	rmdir(dir);
	return unit_end();
}
