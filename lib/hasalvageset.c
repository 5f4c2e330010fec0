#include "hasalvageset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cdrsalvaged.h"
#include "conf.h"
#include "filereplace.h"
#include "hanode.h"
#include "log.h"

#define MANIFEST     "manifest.json"
#define MANIFEST_MAX 65536
#define PART         ".part"
#define FILE_NAME    48

static void
file_name(char name[FILE_NAME], enum ha_lost_relation r)
{
	snprintf(name, FILE_NAME, "%s%s", ha_lost_name(r),
		 ha_lost_is_cdr(r) ? CDRSALVAGED_SUFFIX : ".jsonl");
}

static void
top(char *path, size_t size)
{
	snprintf(path, size, "%s/salvage", conf_str("failover_state_dir"));
}

static bool
is_part(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(PART) &&
	       strcmp(name + len - strlen(PART), PART) == 0;
}

/* --- making ----------------------------------------------------------- */

/* Of a file of ours, or of what was to become one. */
static bool
is_ours(const char *entry)
{
	char name[FILE_NAME];

	for (int r = 0; r < HA_LOST_COUNT; r++) {
		file_name(name, (enum ha_lost_relation)r);
		if (strcmp(entry, name) == 0)
			return true;
	}
	return strncmp(entry, MANIFEST, strlen(MANIFEST)) == 0;
}

static void
remove_part(const char *part)
{
	const struct dirent *entry;
	char path[PATH_MAX + 256];
	DIR *dir = opendir(part);

	while (dir && (entry = readdir(dir)))
		if (is_ours(entry->d_name)) {
			snprintf(path, sizeof(path), "%s/%s", part,
				 entry->d_name);
			unlink(path);
		}
	if (dir)
		closedir(dir);
	if (rmdir(part) == -1 && errno != ENOENT)
		log_warning("cannot remove '%s': %s", part, strerror(errno));
}

static void
remove_parts(const char *folder)
{
	const struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir)))
		if (is_part(entry->d_name) &&
		    snprintf(path, sizeof(path), "%s/%s", folder,
			     entry->d_name) < (int)sizeof(path))
			remove_part(path);
	if (dir)
		closedir(dir);
}

static int
sync_directory(const char *path, struct verr *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd == -1 || fsync(fd) == -1)
		rc = verr_sys(e, VERR_RETRY, "cannot sync '%s'", path);
	if (fd != -1)
		close(fd);
	return rc;
}

int
hasalvageset_begin(struct hasalvageset *set, uint32_t timeline, struct verr *e)
{
	char folder[PATH_MAX - 80], at[32];
	time_t now = time(NULL);
	struct tm tm;

	*set = (struct hasalvageset){ .part = "" };
	top(folder, sizeof(folder));
	if (mkdir(folder, 0700) == -1 && errno != EEXIST)
		return verr_sys(e, VERR_CONFIG, "cannot make '%s'", folder);
	remove_parts(folder);
	do {
		gmtime_r(&now, &tm);
		strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm);
		snprintf(set->path, sizeof(set->path), "%s/%s-tl%" PRIu32,
			 folder, at, timeline);
		now++;
	} while (access(set->path, F_OK) == 0);
	snprintf(set->part, sizeof(set->part), "%s" PART, set->path);
	if (mkdir(set->part, 0700) == -1) {
		verr_sys(e, errno == ENOSPC ? VERR_RETRY : VERR_CONFIG,
			 "cannot make '%s'", set->part);
		*set->part = '\0';
		return -1;
	}
	return 0;
}

static int
open_file(struct hasalvageset *set, enum ha_lost_relation r, struct verr *e)
{
	char path[PATH_MAX + FILE_NAME], name[FILE_NAME];
	int fd;

	file_name(name, r);
	snprintf(path, sizeof(path), "%s/%s", set->part, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd != -1)
		set->files[r] = fdopen(fd, "w");
	if (!set->files[r]) {
		verr_sys(e, VERR_RETRY, "cannot make '%s'", path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	return 0;
}

int
hasalvageset_add(struct hasalvageset *set, enum ha_lost_relation r,
		 const struct buf *line, struct verr *e)
{
	if (!set->files[r] && open_file(set, r, e) == -1)
		return -1;
	if (fwrite(line->data, 1, line->len, set->files[r]) != line->len)
		return verr_sys(e, VERR_RETRY, "cannot write to '%s'",
				set->part);
	return 0;
}

static int
close_files(struct hasalvageset *set, struct verr *e)
{
	int rc = 0;

	for (int r = 0; r < HA_LOST_COUNT; r++) {
		FILE *file = set->files[r];

		set->files[r] = NULL;
		if (!file)
			continue;
		if (rc == 0 &&
		    (fflush(file) == EOF || fsync(fileno(file)) == -1))
			rc = verr_sys(e, VERR_RETRY, "cannot write to '%s'",
				      set->part);
		fclose(file);
	}
	return rc;
}

static json_t *
lsn(uint64_t at)
{
	char text[HA_LSN_TEXT];

	ha_lsn_text(text, at);
	return json_string(text);
}

static json_t *
describe(const struct ha_salvage *s, const char *directory, const char *digest)
{
	json_t *m = json_object(), *rows = json_object();
	char node[64];

	ha_node_name(node, sizeof(node));
	for (int r = 0; r < HA_LOST_COUNT; r++)
		json_object_set_new(rows,
				    ha_lost_name((enum ha_lost_relation)r),
				    json_integer((json_int_t)s->lost.rows[r]));
	json_object_set_new(m, "node", json_string(node));
	json_object_set_new(m, "directory", json_string(directory));
	json_object_set_new(m, "timeline", json_integer(s->timeline));
	json_object_set_new(m, "fork", lsn(s->fork));
	json_object_set_new(m, "last", lsn(s->last));
	json_object_set_new(m, "transactions",
			    json_integer((json_int_t)s->transactions));
	json_object_set_new(m, "first_at", json_string(s->first_at));
	json_object_set_new(m, "last_at", json_string(s->last_at));
	json_object_set_new(m, "compared", json_boolean(s->lost.compared));
	json_object_set_new(m, "rows", rows);
	json_object_set_new(m, "took_ms", json_integer(s->took_ms));
	json_object_set_new(m, "control", json_string(digest));
	return m;
}

int
hasalvageset_end(struct hasalvageset *set, struct ha_salvage *s,
		 const char *directory, const char *digest, struct verr *e)
{
	json_t *m = describe(s, directory, digest);
	char *text = json_dumps(m, JSON_INDENT(1));
	char path[PATH_MAX + FILE_NAME], folder[PATH_MAX];
	int rc = close_files(set, e);

	json_decref(m);
	top(folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/" MANIFEST, set->part);
	if (rc == 0 && !text)
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == 0)
		rc = file_replace(path, text, strlen(text), 0600, true, e);
	if (rc == 0)
		rc = sync_directory(set->part, e);
	if (rc == 0 && rename(set->part, set->path) == -1)
		rc = verr_sys(e, VERR_SYSTEM, "cannot rename '%s'", set->part);
	if (rc == 0) {
		*set->part = '\0';
		snprintf(s->path, sizeof(s->path), "%s", set->path);
		rc = sync_directory(folder, e);
	}
	free(text);
	return rc;
}

void
hasalvageset_release(struct hasalvageset *set)
{
	for (int r = 0; r < HA_LOST_COUNT; r++)
		if (set->files[r])
			fclose(set->files[r]);
	if (*set->part)
		remove_part(set->part);
	*set = (struct hasalvageset){ .part = "" };
}

/* --- reading ---------------------------------------------------------- */

static json_t *
read_manifest(const char *path)
{
	struct buf text = BUF_INIT;
	struct verr why = VERR_INIT;
	char file[PATH_MAX + FILE_NAME];
	json_t *m = NULL;

	snprintf(file, sizeof(file), "%s/" MANIFEST, path);
	if (file_read(file, MANIFEST_MAX, &text, &why) == 0)
		m = json_loads(text.data, 0, NULL);
	buf_release(&text);
	return m;
}

static void
take_manifest(struct ha_salvage *s, const char *path, const json_t *m)
{
	const json_t *rows = json_object_get(m, "rows");
	const char *text = json_string_value(json_object_get(m, "fork"));

	*s = (struct ha_salvage){ .apart = true, .before = true };
	snprintf(s->path, sizeof(s->path), "%s", path);
	if (text)
		ha_lsn_read(text, &s->fork);
	text = json_string_value(json_object_get(m, "last"));
	if (text)
		ha_lsn_read(text, &s->last);
	s->timeline =
		(uint32_t)json_integer_value(json_object_get(m, "timeline"));
	s->transactions =
		(size_t)json_integer_value(json_object_get(m, "transactions"));
	s->lost.compared = json_is_true(json_object_get(m, "compared"));
	for (int r = 0; r < HA_LOST_COUNT; r++) {
		s->lost.rows[r] = (size_t)json_integer_value(json_object_get(
			rows, ha_lost_name((enum ha_lost_relation)r)));
		s->lost.all += s->lost.rows[r];
	}
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_set(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && !is_part(entry->d_name);
}

/* Each set with its manifest until `fn` has enough. */
typedef bool (*set_fn)(const char *path, const json_t *manifest, void *arg);

static int
walk(set_fn fn, void *arg, struct verr *e)
{
	struct dirent **names = NULL;
	char folder[PATH_MAX - 300], path[PATH_MAX];
	bool enough = false;
	int n;

	top(folder, sizeof(folder));
	n = scandir(folder, &names, is_set, by_name);
	if (n == -1 && errno == ENOENT)
		return 0;
	if (n == -1)
		return verr_sys(e, VERR_CONFIG, "cannot read '%s'", folder);
	for (int i = 0; i < n; i++) {
		json_t *m;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		m = enough ? NULL : read_manifest(path);
		if (m)
			enough = fn(path, m, arg);
		json_decref(m);
		free(names[i]);
	}
	free(names);
	return enough;
}

struct wanted {
	const char *digest;
	struct ha_salvage *s;
};

static bool
is_wanted(const char *path, const json_t *m, void *arg)
{
	const struct wanted *w = arg;
	const char *digest = json_string_value(json_object_get(m, "control"));

	if (!digest || strcmp(digest, w->digest) != 0)
		return false;
	take_manifest(w->s, path, m);
	return true;
}

int
hasalvageset_find(const char *digest, struct ha_salvage *s, struct verr *e)
{
	struct wanted w = { digest, s };

	return walk(is_wanted, &w, e);
}

/* --- telling ---------------------------------------------------------- */

void
ha_salvage_words(char *words, size_t size, const struct ha_lost_counts *lost)
{
	size_t len = 0;

	snprintf(words, size, "no CDR, recording or audit row");
	for (int r = 0; r < HA_LOST_COUNT; r++)
		if (lost->rows[r] && len < size)
			len += (size_t)snprintf(
				words + len, size - len, "%s%zu %s",
				len ? ", " : "", lost->rows[r],
				ha_lost_name((enum ha_lost_relation)r));
}

/* voip-cdr-ingest moves a file away when all of it is stored. */
static bool
waits(const char *path)
{
	char file[PATH_MAX + FILE_NAME], name[FILE_NAME];

	for (int r = 0; r < HA_LOST_COUNT; r++) {
		if (!ha_lost_is_cdr((enum ha_lost_relation)r))
			continue;
		file_name(name, (enum ha_lost_relation)r);
		snprintf(file, sizeof(file), "%s/%s", path, name);
		if (access(file, F_OK) == 0)
			return true;
	}
	return false;
}

struct telling {
	ha_salvage_fn fn;
	void *arg;
};

static bool
tell(const char *path, const json_t *m, void *arg)
{
	const struct telling *t = arg;
	struct ha_salvage s;
	char words[256];

	take_manifest(&s, path, m);
	ha_salvage_words(words, sizeof(words), &s.lost);
	if (s.lost.all)
		t->fn(path, words, waits(path), t->arg);
	return false;
}

int
ha_salvage_list(ha_salvage_fn fn, void *arg, struct verr *e)
{
	struct telling t = { fn, arg };

	return walk(tell, &t, e);
}
