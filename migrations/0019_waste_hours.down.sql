DROP TABLE waste_hours;
