/* What the progress line says, by itself. */
#include "progress.h"
#include "unit.h"

static void
test_text(void)
{
	static const struct {
		uint64_t done, total;
		int64_t elapsed_ms;
		const char *text;
	} testv[] = {
		{ 0, 0, 0, "list: 0 rows, 0/s" },
		{ 500, 0, 2000, "list: 500 rows, 250/s" },
		{ 0, 100, 1000, "list: 0 rows, 0/s" },
		{ 250, 1000, 1000,
		  "list: 25%, 250 of 1000 rows, 250/s, 3 s left" },
		{ 1000, 126000, 1000,
		  "list: 0%, 1000 of 126000 rows, 1000/s, 2 min 05 s left" },
		{ 1, 7261, 1000,
		  "list: 0%, 1 of 7261 rows, 1/s, 2 h 01 min left" },
		{ 100, 100, 1000,
		  "list: 100%, 100 of 100 rows, 100/s, 0 s left" },
		{ 101, 100, 1000, "list: 101 rows, 101/s" },
	};

	for (size_t i = 0; i < COUNT(testv); i++) {
		struct progress p = { .verb = "list",
				      .unit = "rows",
				      .done = testv[i].done,
				      .total = testv[i].total };
		char text[160], small[8];

		progress_text(&p, testv[i].elapsed_ms, text, sizeof(text));
		CHECK_STR(text, testv[i].text);
		progress_text(&p, testv[i].elapsed_ms, small, sizeof(small));
		CHECK(strlen(small) == 7);
	}
}

int
main(void)
{
	test_text();
	return unit_end();
}
