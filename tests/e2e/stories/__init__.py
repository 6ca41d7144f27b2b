"""Stories: given this cluster, when this happens, egops says this. One file per subject."""
