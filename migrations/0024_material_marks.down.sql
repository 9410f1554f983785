DROP TRIGGER campaign_gone ON campaigns;
DROP TRIGGER campaign_changed ON campaigns;
DROP TRIGGER asset_gone ON assets;
DROP TRIGGER asset_changed ON assets;
DROP TRIGGER assets_come ON assets;
DROP FUNCTION campaign_gone(), campaign_changed(), asset_changed(), assets_come(), material_changed(uuid[]);
DROP TABLE material_marks;
