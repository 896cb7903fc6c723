-- Titles with what slices need.
-- kind: view
-- key: content_key
-- column: content_key = title
-- column: content_id = the title's id in events and operational tables
-- column: content_name = name
-- column: content_type = kind of title, in lower case
-- column: genre = main genre: the first that is listed, in lower case
-- column: production_type = original or licensed
-- column: series_key = series of an episode
-- column: season_number = season; 1 where not said
-- column: episode_number = number in the season
-- column: release_date = day of release [day]
-- column: length_seconds = running time [seconds]
-- column: intro_start_seconds = where the intro begins [seconds]
-- column: intro_end_seconds = where the intro ends [seconds]
-- column: credits_start_seconds = where the end credits begin [seconds]
-- column: is_movie = a movie
-- column: show_name = the show that it belongs to: its series, or itself; NULL of what is no show
-- column: trailer_of_content_key = title that it is a trailer of
SELECT
    content_key,
    COALESCE(content_id, text_of(content_key)) AS content_id,
    content_name,
    LOWER(content_type) AS content_type,
    LOWER(TRIM(SPLIT_PART(REPLACE(REPLACE(genre, ';', ','), '|', ','), ',', 1))) AS genre,
    LOWER(production_type) AS production_type,
    series_key,
    COALESCE(season_number, 1) AS season_number,
    episode_number,
    release_date,
    length_seconds,
    intro_start_seconds,
    intro_end_seconds,
    credits_start_seconds,
    COALESCE(LOWER(content_type) IN ('movie', 'film'), FALSE) AS is_movie,
    CASE
        WHEN series_key IS NOT NULL THEN 'series ' || text_of(series_key)
        WHEN LOWER(content_type) IN ('series', 'show', 'episode', 'tv', 'tv show', 'tv_show')
            THEN 'title ' || text_of(content_key)
    END AS show_name,
    trailer_of_content_key
FROM dim_content
