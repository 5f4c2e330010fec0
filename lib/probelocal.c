/* What is ours: endpoints, spool, certificates. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "conf.h"
#include "cryptcert.h"
#include "httpc.h"
#include "probe.h"

/* A drained spool is empty; what is this old was passed over. */
#define SPOOL_OLD_S 300
#define DAY_S       86400

void
probe_endpoint(const struct probe *p, struct probe_result *r)
{
	struct verr e = VERR_INIT;
	long status = 0;

	if (httpc_get(conf_str(p->setting), "/health", p->timeout_ms, &status,
		      NULL, 0, &e) == -1) {
		probe_found(r, PROBE_FAILED, "%s", e.msg);
		return;
	}
	/* 503: it lives and something that it needs does not, which has a
	 * probe of its own. */
	probe_found(r, status == 200 ? PROBE_OK : PROBE_WARNING,
		    "%s answers %ld", conf_str(p->setting), status);
}

struct spool_census {
	int64_t count;
	time_t oldest;
};

static void
count_record(DIR *dir, const char *name, struct spool_census *census)
{
	struct stat st;

	/* The names of records begin with their time. */
	if (!isdigit((unsigned char)name[0]) ||
	    fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		return;
	if (census->count++ == 0 || st.st_mtime < census->oldest)
		census->oldest = st.st_mtime;
}

void
probe_spool(const struct probe *p, struct probe_result *r)
{
	struct spool_census census = { 0 };
	const char *path = conf_str(p->setting);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int64_t age;

	if (!dir && errno != ENOENT) {
		probe_found(r, PROBE_FAILED, "cannot read '%.150s': %s", path,
			    strerror(errno));
		return;
	}
	while (dir && (entry = readdir(dir)))
		count_record(dir, entry->d_name, &census);
	if (dir)
		closedir(dir);
	age = census.count ? (int64_t)(time(NULL) - census.oldest) : 0;
	probe_value(r, "voip_cdr_spool_records", (double)census.count);
	probe_value(r, "voip_cdr_spool_oldest_seconds", (double)age);
	if (census.count == 0)
		probe_found(r, PROBE_OK, "empty");
	else
		probe_found(r, age > SPOOL_OLD_S ? PROBE_WARNING : PROBE_OK,
			    "%" PRId64 " waiting, oldest %" PRId64 " s",
			    census.count, age);
}

/* --- certificates ----------------------------------------------------- */

static void
look_at_certificate(const char *path, struct probe_result *r)
{
	double left = (double)conf_ms("health_certificate_left") / 1000;
	struct verr e = VERR_INIT;
	double seconds;

	if (cryptcert_left(path, &seconds, &e) == -1) {
		probe_worse(r, PROBE_WARNING, "%s", e.msg);
		return;
	}
	probe_labelled(r, "voip_certificate_seconds", "path", path, seconds);
	if (seconds <= 0)
		probe_worse(r, PROBE_FAILED, "'%.150s' has expired", path);
	else
		probe_worse(r, seconds < left ? PROBE_WARNING : PROBE_OK,
			    "'%.150s' expires in %.0f days", path,
			    seconds / DAY_S);
}

void
probe_certificates(const struct probe *p, struct probe_result *r)
{
	probe_each_word(p, r, look_at_certificate);
}
