-- Questions to a results.csv.
--
--   facescan ./folder --out results.csv
--   sqlite3 :memory: '.import --csv results.csv results' '.read query.sql'

.headers on
.mode column

-- How many of each verdict, and how sure.
SELECT verdict, count(*) AS files, round(avg(nullif(p_fake, '')), 3) AS mean_p_fake
FROM results GROUP BY verdict ORDER BY files DESC, verdict;

-- The same picture under several names.
SELECT substr(sha256, 1, 12) AS begins, count(*) AS copies, min(path) AS first_path
FROM results WHERE sha256 <> '' GROUP BY sha256 HAVING copies > 1;

-- What could not be judged, and why.
SELECT reason, path FROM results WHERE verdict = 'error' ORDER BY reason, path;
