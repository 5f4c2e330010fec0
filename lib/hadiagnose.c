#include "hadiagnose.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "conf.h"
#include "filereplace.h"
#include "hajournal.h"
#include "hanode.h"
#include "log.h"

#define JOURNAL_LINES 30
#define PART_MAX      16384 /* of one file that is copied */
#define CONTROL_MS    INT64_C(3000)

static void
add_file(struct buf *b, const char *name)
{
	struct verr why = VERR_INIT;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", conf_str("health_dir"), name);
	buf_printf(b, "\n== %s\n", name);
	if (file_read(path, PART_MAX, b, &why) == -1)
		buf_puts(b, why.msg);
}

static void
add_line(const char *line, void *arg)
{
	buf_puts(arg, line);
	buf_putc(arg, '\n');
}

/* "812 (postgres) T": a name may have any byte but NUL. */
static void
add_process(struct buf *b, const char *pid, const struct stat *directory)
{
	char path[64], text[512];
	struct stat st;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/cwd", pid);
	if (stat(path, &st) == -1 || st.st_dev != directory->st_dev ||
	    st.st_ino != directory->st_ino)
		return;
	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	if (strrchr(text, ')') && strlen(strrchr(text, ')')) > 3)
		strrchr(text, ')')[3] = '\0';
	add_line(text, b);
}

static void
add_processes(struct buf *b, const char *data)
{
	const struct dirent *entry;
	struct stat directory;
	DIR *dir;

	buf_puts(b, "\n== processes of PostgreSQL\n");
	dir = stat(data, &directory) == 0 ? opendir("/proc") : NULL;
	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			add_process(b, entry->d_name, &directory);
	if (dir)
		closedir(dir);
}

static void
add_control_data(struct buf *b, const char *data)
{
	static const char *const environment[] = { "LC_ALL=C", NULL };
	struct verr why = VERR_INIT;
	char path[PATH_MAX];
	const char *const words[] = { path, data, NULL };

	buf_puts(b, "\n== pg_controldata\n");
	snprintf(path, sizeof(path), "%s/pg_controldata",
		 conf_str("postgresql_bin_dir"));
	if (command_run_words(words, environment, CONTROL_MS, b, &why) == -1)
		add_line(why.msg, b);
}

static void
add_disk(struct buf *b, const char *data)
{
	struct statvfs fs;

	buf_puts(b, "\n== disk of PostgreSQL\n");
	if (statvfs(data, &fs) == 0)
		buf_printf(b, "%llu MB free, %llu inodes\n",
			   (unsigned long long)fs.f_bavail * fs.f_frsize >> 20,
			   (unsigned long long)fs.f_favail);
	else
		buf_printf(b, "%s\n", strerror(errno));
}

/* --- how many --------------------------------------------------------- */

static int
is_report(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 4 &&
	       strcmp(entry->d_name + len - 4, ".txt") == 0;
}

/* Names begin with the time: they sort by age. */
static void
keep_latest(const char *directory, long count)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, is_report, alphasort);
	char path[PATH_MAX + NAME_MAX + 2];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory,
			 entries[i]->d_name);
		if (i < n - count && unlink(path) == -1)
			log_warning("cannot remove '%s': %s", path,
				    strerror(errno));
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* --- the file --------------------------------------------------------- */

static void
name_of(char *path, size_t size, const char *directory, const char *event)
{
	int64_t ms = ha_real_ms();
	time_t now = (time_t)(ms / 1000);
	char at[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(at, sizeof(at), "%Y%m%dT%H%M%S", &tm);
	snprintf(path, size, "%s/%s.%03dZ-%s.txt", directory, at,
		 (int)(ms % 1000), event);
}

int
ha_diagnose(const char *event, char *path, size_t size, struct verr *e)
{
	static const char *const files[] = {
		"verdict",  "health",   "vrrp",        "timeline",
		"isolated", "services", "health.json", "peer.json",
	};
	const char *data = conf_str("postgresql_data_directory");
	struct verr ignored = VERR_INIT;
	struct buf b = BUF_INIT;
	char directory[PATH_MAX], node[64];
	int rc;

	snprintf(directory, sizeof(directory), "%s/diagnostics",
		 conf_str("failover_state_dir"));
	if (mkdir(directory, 0750) == -1 && errno != EEXIST)
		return verr_sys(e, VERR_CONFIG, "cannot make '%s'", directory);
	name_of(path, size, directory, event);
	ha_node_name(node, sizeof(node));
	buf_printf(&b, "node %s, event %s\n", node, event);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		add_file(&b, files[i]);
	buf_puts(&b, "\n== journal\n");
	ha_journal_read(JOURNAL_LINES, add_line, &b, &ignored);
	if (*data) {
		add_processes(&b, data);
		add_control_data(&b, data);
		add_disk(&b, data);
	}
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : file_replace(path, b.data, b.len, 0640, false, e);
	buf_release(&b);
	keep_latest(directory, conf_int("diagnostics_kept"));
	return rc;
}
