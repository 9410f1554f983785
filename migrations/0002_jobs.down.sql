DROP TABLE job_events, scenes, jobs;
