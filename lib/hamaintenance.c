#include "hamaintenance.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "jsonmember.h"

#define FILE_MAX 4096

static void
file_path(char *path, size_t size)
{
	snprintf(path, size, "%s/maintenance", conf_str("health_dir"));
}

bool
ha_is_maintenance(struct ha_maintenance *m)
{
	struct ha_maintenance ours;
	struct buf text = BUF_INIT;
	struct verr why = VERR_INIT;
	json_t *object = NULL;
	char path[4096];
	bool is_so = true;

	if (!m)
		m = &ours;
	memset(m, 0, sizeof(*m));
	file_path(path, sizeof(path));
	if (file_read(path, FILE_MAX, &text, &why) == -1)
		is_so = why.kind != VERR_NOTFOUND;
	else
		object = json_loads(text.data, 0, NULL);
	if (object) {
		m->until = json_integer_value(json_object_get(object, "until"));
		jsonmember_take_string(m->by, sizeof(m->by), object, "by");
		jsonmember_take_string(m->reason, sizeof(m->reason), object,
				       "reason");
		is_so = m->until > time(NULL);
	}
	json_decref(object);
	buf_release(&text);
	return is_so;
}

int
ha_maintenance_begin(int64_t seconds, const char *reason, struct verr *e)
{
	const struct passwd *user = getpwuid(getuid());
	const char *by = user ? user->pw_name : "?";
	struct buf b = BUF_INIT;
	char path[4096];
	int rc;

	file_path(path, sizeof(path));
	buf_printf(&b, "{\"until\":%" PRId64, (int64_t)time(NULL) + seconds);
	jsonmember_add_string(&b, "by", by);
	jsonmember_add_string(&b, "reason", reason);
	buf_puts(&b, "}\n");
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : file_replace(path, b.data, b.len, 0644, true, e);
	buf_release(&b);
	return rc;
}

int
ha_maintenance_end(struct verr *e)
{
	bool was_so = ha_is_maintenance(NULL);
	char path[4096];

	file_path(path, sizeof(path));
	if (unlink(path) == -1 && errno != ENOENT)
		return verr_sys(e, VERR_SYSTEM, "cannot remove '%s'", path);
	return was_so;
}
