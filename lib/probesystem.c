/* The machine: disks, inodes, tmpfs, clock, units, lsyncd. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <time.h>

#include <linux/magic.h>

#include "conf.h"
#include "filereplace.h"
#include "probe.h"
#include "services.h"

/* lsyncd writes its status file every ten seconds when told nothing else. */
#define LSYNCD_OLD_S 120
#define LSYNCD_MAX   65536

/* --- room ------------------------------------------------------------- */

/* Below the limit a warning, below a third of it a failure. */
static void
judge_room(struct probe_result *r, const char *path, const char *what,
	   double free, double all)
{
	double percent = all > 0 ? free * 100 / all : 100;
	double limit = (double)conf_int("health_room");
	enum probe_state state = PROBE_OK;

	if (percent < limit)
		state = percent < limit / 3 ? PROBE_FAILED : PROBE_WARNING;
	probe_worse(r, state, "%.0f %% of %s free on '%.120s'", percent, what,
		    path);
}

static bool
look_at(const char *path, struct statfs *fs, struct probe_result *r)
{
	if (statfs(path, fs) == 0)
		return true;
	probe_worse(r, PROBE_WARNING, "cannot look at '%.120s': %s", path,
		    strerror(errno));
	return false;
}

static void
look_at_disk(const char *path, struct probe_result *r)
{
	struct statfs fs;

	if (look_at(path, &fs, r))
		judge_room(r, path, "the bytes", (double)fs.f_bavail,
			   (double)fs.f_blocks);
}

static void
measure_disk(const char *path, struct probe_result *r)
{
	struct statfs fs;

	if (statfs(path, &fs) == 0)
		probe_labelled(r, "voip_disk_free_bytes", "path", path,
			       (double)fs.f_bavail * (double)fs.f_bsize);
}

void
probe_disks(const struct probe *p, struct probe_result *r)
{
	probe_each_word(p, r, look_at_disk);
	probe_each_word(p, r, measure_disk);
}

static void
look_at_inodes(const char *path, struct probe_result *r)
{
	struct statfs fs;

	if (!look_at(path, &fs, r))
		return;
	/* Some file systems have as many as are needed: 0 of 0. */
	judge_room(r, path, "the inodes", (double)fs.f_ffree,
		   (double)fs.f_files);
	probe_labelled(r, "voip_disk_free_inodes", "path", path,
		       (double)fs.f_ffree);
}

void
probe_inodes(const struct probe *p, struct probe_result *r)
{
	probe_each_word(p, r, look_at_inodes);
}

static void
look_at_tmpfs(const char *path, struct probe_result *r)
{
	struct statfs fs;

	if (!look_at(path, &fs, r))
		return;
	if (fs.f_type != TMPFS_MAGIC) {
		probe_worse(r, PROBE_WARNING, "'%.120s' is no tmpfs", path);
		return;
	}
	judge_room(r, path, "the bytes", (double)fs.f_bavail,
		   (double)fs.f_blocks);
	probe_labelled(r, "voip_tmpfs_free_bytes", "path", path,
		       (double)fs.f_bavail * (double)fs.f_bsize);
}

void
probe_tmpfs(const struct probe *p, struct probe_result *r)
{
	probe_each_word(p, r, look_at_tmpfs);
}

/* --- the clock -------------------------------------------------------- */

/* What the kernel knows from whoever keeps the time (adjtimex(2)). */
void
probe_clock(const struct probe *p, struct probe_result *r)
{
	struct timex t = { .modes = 0 };
	int64_t limit_ms = conf_ms(p->setting);
	int state = limit_ms ? adjtimex(&t) : 0;
	double error_ms = (double)t.maxerror / 1000;

	if (!limit_ms) {
		probe_found(r, PROBE_OFF, "setting %s is 0", p->setting);
		return;
	}
	if (state == -1) {
		probe_found(r, PROBE_WARNING, "cannot ask the clock: %s",
			    strerror(errno));
		return;
	}
	probe_value(r, "voip_clock_synchronised",
		    state != TIME_ERROR && !(t.status & STA_UNSYNC));
	probe_value(r, "voip_clock_error_seconds", error_ms / 1000);
	if (state == TIME_ERROR || t.status & STA_UNSYNC)
		probe_found(r, PROBE_WARNING, "nobody keeps the clock right");
	else
		probe_found(r,
			    error_ms > (double)limit_ms ? PROBE_WARNING
							: PROBE_OK,
			    "right to %.0f ms", error_ms);
}

/* --- units ------------------------------------------------------------ */

static void
look_at_unit(const char *name, struct probe_result *r)
{
	struct verr e = VERR_INIT;
	int runs = services_status(name, &e);

	if (runs == -1)
		probe_worse(r, PROBE_WARNING, "%s: %s", name, e.msg);
	else
		probe_worse(r, runs ? PROBE_OK : PROBE_FAILED,
			    runs ? "all of them run" : "'%s' does not run",
			    name);
	if (runs != -1)
		probe_labelled(r, "voip_unit_running", "unit", name, runs);
}

void
probe_units(const struct probe *p, struct probe_result *r)
{
	probe_each_word(p, r, look_at_unit);
}

/* --- lsyncd ----------------------------------------------------------- */

/* "There are 3 delays" for each directory (statusFile of lsyncd). */
void
probe_lsyncd(const struct probe *p, struct probe_result *r)
{
	const char *path = conf_str(p->setting);
	struct verr e = VERR_INIT;
	struct buf b = BUF_INIT;
	struct stat st;
	int64_t age;
	long delays = 0;

	if (stat(path, &st) == -1 ||
	    file_read(path, LSYNCD_MAX, &b, &e) == -1) {
		probe_found(r, PROBE_FAILED, "cannot read '%.150s': %s", path,
			    strerror(errno));
		buf_release(&b);
		return;
	}
	for (const char *at = b.data; (at = strstr(at, "There are ")); at++)
		delays += strtol(at + strlen("There are "), NULL, 10);
	age = (int64_t)(time(NULL) - st.st_mtime);
	probe_value(r, "voip_lsyncd_delays", (double)delays);
	probe_value(r, "voip_lsyncd_status_age_seconds", (double)age);
	if (age > LSYNCD_OLD_S)
		probe_found(r, PROBE_FAILED,
			    "its status is %" PRId64 " s old: it has stopped",
			    age);
	else
		probe_found(r,
			    delays > conf_int("health_lsyncd_delays")
				    ? PROBE_WARNING
				    : PROBE_OK,
			    "%ld changes wait", delays);
	buf_release(&b);
}
