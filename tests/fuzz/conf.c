/* conf: any file is loaded or refused; what --show-config says loads again. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];
static int file = -1;

static void
write_file(const void *data, size_t size)
{
	if (ftruncate(file, 0) == -1 ||
	    pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf shown = BUF_INIT;
	struct verr e = VERR_INIT;
	char *proxy;

	if (file == -1) {
		file = memfd_create("voip.conf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		conf_set_file(path);
	}
	write_file(data, size);
	if (conf_load(&e) == -1) {
		if (e.kind != VERR_CONFIG)
			abort();
		return 0;
	}
	proxy = strdup(conf_str("proxy"));
	conf_show(&shown);
	write_file(shown.data, shown.len);
	if (conf_load(&e) == -1 || !proxy ||
	    strcmp(proxy, conf_str("proxy")) != 0)
		abort();
	free(proxy);
	buf_release(&shown);
	return 0;
}
